//! Where the packages come from, under which licence, and which stand there twice.
//!
//! `deny.toml` asks the same of `cargo deny`, which also knows of advisories; this needs nothing
//! that is not there anyway.

use std::collections::{BTreeMap, BTreeSet};

use super::Finding;
use super::licence;
use super::metadata::Metadata;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Packages that stand there in two or more incompatible versions, and why that is borne.
const DUPLICATES: [(&str, &str); 17] = [
    ("base64", "reqwest is a version ahead of async-nats and sqlx"),
    ("block-buffer", "comes with digest"),
    ("cpufeatures", "comes with sha2"),
    ("crypto-common", "comes with digest"),
    ("digest", "comes with sha2"),
    ("getrandom", "comes with rand's versions; ring asks for the oldest"),
    ("hashbrown", "sqlx is a version behind indexmap"),
    ("num-bigint", "jsonschema's fractions are a version behind regorus"),
    ("rand", "nuid, of async-nats, is two versions behind sqlx"),
    ("rand_chacha", "comes with rand"),
    ("rand_core", "comes with rand"),
    ("sha2", "sqlx's core is a version behind its own drivers"),
    ("spin", "regorus is a version ahead of the macros of futures"),
    ("syn", "derives move to version 3 one by one; none of it is in the binary"),
    ("synstructure", "comes with syn"),
    ("tower-http", "reqwest is a version behind"),
    ("winnow", "toml asks for two versions at once"),
];

/// Finds packages of unknown origin, under unlisted licences, or there twice for no known reason.
pub fn check(metadata: &Metadata, findings: &mut Vec<Finding>) {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &metadata.packages {
        let place = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or_default();
        if !licence::is_allowed(licence) {
            findings
                .push(Finding::new(&place, format!("its licence {licence:?} is not on the list")));
        }
        match package.source.as_deref() {
            None | Some(REGISTRY) => {}
            Some(other) => findings.push(Finding::new(&place, format!("comes from {other}"))),
        }
        versions.entry(&package.name).or_default().insert(line(&package.version));
    }
    let explained: BTreeSet<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    for (name, lines) in versions {
        let found = lines.iter().copied().collect::<Vec<_>>().join(" and ");
        let what = match (lines.len() > 1, explained.contains(name)) {
            (true, false) => format!("stands there as {found}, and nobody says why"),
            (false, true) => "stands there once now: take it off the list".to_owned(),
            _ => continue,
        };
        findings.push(Finding::new(name, what));
    }
}

/// What of a version decides whether another can take its place: `1` of 1.2.3, `0.9` of 0.9.1.
fn line(version: &str) -> &str {
    let parts = if version.starts_with("0.") { 2 } else { 1 };
    let end = version.match_indices('.').nth(parts - 1).map_or(version.len(), |(end, _)| end);
    version.get(..end).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_cannot_replace_each_other_are_told_apart() {
        assert_eq!(line("1.2.3"), "1");
        assert_eq!(line("0.9.1"), "0.9");
        assert_eq!(line("10.0.0"), "10");
    }

    #[test]
    fn cargo_deny_is_asked_the_same() {
        let asked = crate::checkout::read("deny.toml").unwrap();
        let has = |line: String| asked.lines().any(|asked| asked.trim() == line);
        for licence in licence::ALLOWED {
            assert!(has(format!("\"{licence}\",")), "{licence}");
        }
        for (name, reason) in DUPLICATES {
            assert!(has(format!("{{ crate = \"{name}\", reason = \"{reason}\" }},")), "{name}");
        }
        assert_eq!(asked.matches("reason =").count(), DUPLICATES.len());
    }
}

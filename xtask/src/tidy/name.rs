//! Names that say nothing, tests that do not run, and notes of work undone.

use super::Finding;
use super::source::Source;

const BANNED_STEMS: [&str; 8] =
    ["util", "utils", "helper", "helpers", "common", "misc", "manager", "part2"];

/// Finds banned file names, ignored tests and notes of work undone.
pub fn check(files: &[String], sources: &[Source], findings: &mut Vec<Finding>) {
    for path in files {
        if let Some(part) = path.split('/').find(|part| is_banned(part)) {
            findings.push(Finding::new(
                path,
                format!("{part} says nothing; name it for the noun or verb that it holds"),
            ));
        }
    }
    for source in sources {
        for (offset, _) in source.code.match_indices("#[ignore") {
            findings
                .push(Finding::new(source.place(offset), "a test that does not run is no test"));
        }
        for note in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            for (offset, _) in source.text.match_indices(note) {
                let what = format!("{note}: do it, or open an issue");
                findings.push(Finding::new(source.place(offset), what));
            }
        }
    }
}

fn is_banned(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part);
    BANNED_STEMS.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_stem_is_banned() {
        assert!(is_banned("helpers") && is_banned("util.rs"));
        assert!(!is_banned("utility_bill.rs") && !is_banned("commons"));
    }
}

//! Step keys: a digest over what determines a step's result.
//!
//! A key is known when planning where nothing of the step depends on a run; else the engine makes
//! it with [`of`] once parameters and input artifacts are known. What does not determine the
//! result does not join it: a secret's value (its name does, and its version where the author names
//! one), timeout, retry, priority, concurrency, resources, budget.

use std::collections::BTreeMap;

use maestro_schemas::artifact::{Tree, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{Node, StepKey, Workspace};
use serde_json::{Value, json};

/// Parts with this prefix explain the part `files` and do not join the digest by themselves.
pub const FILE_PREFIX: &str = "file:";

/// The same for the parameters that stand in the part `with`.
pub const WITH_PREFIX: &str = "with:";

/// The same for the variables that stand in the part `env`.
pub const ENV_PREFIX: &str = "env:";

/// Artifacts of former steps, by the path at which each is put.
pub const INPUT_PREFIX: &str = "input:";

/// Parts that others explain one by one, and the prefix of those.
const GROUPS: [(&str, &str); 3] =
    [("files", FILE_PREFIX), ("with", WITH_PREFIX), ("env", ENV_PREFIX)];

/// The most parameters, and the most variables, that a key names one by one.
pub const VALUES_NAMED_MAX: usize = 100;

/// The most files of a workspace that a key names one by one.
pub const FILES_NAMED_MAX: usize = 500;

/// What went into a key, by name.
pub type Parts = BTreeMap<String, Digest>;

/// The key of a step whose parameters and environment are resolved and whose input artifacts are
/// known, by the path at which each is put.
pub fn of(
    node: &Node,
    with: &Value,
    env: &BTreeMap<String, String>,
    artifacts: &BTreeMap<String, Digest>,
) -> StepKey {
    let mut parts = BTreeMap::from([
        ("action".to_owned(), Digest::of_json(&json!([node.action.name, node.action.version]))),
        ("with".to_owned(), Digest::of_json(with)),
        ("env".to_owned(), Digest::of_json(&json!(env))),
    ]);
    let kept: Vec<Value> =
        node.outputs.iter().map(|kept| json!([kept.role, kept.path, kept.optional])).collect();
    if !kept.is_empty() {
        parts.insert("artifacts".into(), Digest::of_json(&kept.into()));
    }
    if !node.beside.junit.is_empty() {
        parts.insert("reports".into(), Digest::of_json(&json!(node.beside.junit)));
    }
    if !node.beside.services.is_empty() {
        parts.insert("services".into(), services(node));
    }
    if !node.secrets.is_empty() {
        parts.insert("secrets".into(), Digest::of_json(&json!(node.secrets)));
    }
    if let Some(salt) = &node.salt {
        parts.insert("salt".into(), Digest::of(salt.as_bytes()));
    }
    if node.isolation.is_some() || node.network.is_some() {
        let sandbox = json!([node.isolation, node.network]);
        parts.insert("sandbox".into(), Digest::of_json(&sandbox));
    }
    match &node.workspace {
        Workspace::Empty => {}
        Workspace::Tree { digest } => {
            parts.insert("files".into(), *digest);
        }
        Workspace::Git { url, commit } => {
            parts.insert("files".into(), Digest::of_json(&json!([url, commit])));
        }
    }
    for (path, digest) in artifacts {
        parts.insert(format!("{INPUT_PREFIX}{path}"), *digest);
    }
    if node.cached {
        name_values(&mut parts, with, env);
    }
    StepKey { digest: digest(&parts), parts }
}

/// What services are; how long they may take to be ready is not of it.
fn services(node: &Node) -> Digest {
    let mut services = node.beside.services.clone();
    services.values_mut().for_each(|service| service.ready_ms = 0);
    Digest::of_json(&json!(services))
}

/// The key with one part more.
pub fn joined(mut key: StepKey, name: &str, part: Digest) -> StepKey {
    key.parts.insert(name.to_owned(), part);
    StepKey { digest: digest(&key.parts), parts: key.parts }
}

/// Names parameters and variables, never their values, so that a miss can say which one changed.
fn name_values(parts: &mut Parts, with: &Value, env: &BTreeMap<String, String>) {
    if let Some(with) = with.as_object().filter(|with| with.len() <= VALUES_NAMED_MAX) {
        let named = |(name, value)| (format!("{WITH_PREFIX}{name}"), Digest::of_json(value));
        parts.extend(with.iter().map(named));
    }
    if env.len() <= VALUES_NAMED_MAX {
        let named = |(name, value): (&String, &String)| {
            (format!("{ENV_PREFIX}{name}"), Digest::of(value.as_bytes()))
        };
        parts.extend(env.iter().map(named));
    }
}

/// Whether a part only explains another.
fn explains(name: &str) -> bool {
    GROUPS.iter().any(|(_, prefix)| name.starts_with(prefix))
}

/// The digest over all parts but those that only explain others.
pub fn digest(parts: &Parts) -> Digest {
    let joined: BTreeMap<&str, String> = parts
        .iter()
        .filter(|(name, _)| !explains(name))
        .map(|(name, digest)| (name.as_str(), digest.to_string()))
        .collect();
    Digest::of_json(&json!(joined))
}

/// Names the files of a workspace in its step's key, so that a miss can say which one changed.
/// A workspace of more than [`FILES_NAMED_MAX`] files keeps the part `files` alone.
pub fn name_files(key: &mut StepKey, tree: &Tree) {
    if tree.entries.len() <= FILES_NAMED_MAX {
        key.parts.extend(file_parts(tree));
    }
}

/// The files of a workspace as parts that explain the part `files`.
pub fn file_parts(tree: &Tree) -> impl Iterator<Item = (String, Digest)> + '_ {
    tree.entries.iter().map(|entry| {
        let digest = match &entry.kind {
            TreeEntryKind::File { digest, executable: false, .. } => *digest,
            TreeEntryKind::File { digest, .. } => Digest::of_json(&json!(["executable", digest])),
            TreeEntryKind::Link { target } => Digest::of_json(&json!(["link", target])),
        };
        (format!("{FILE_PREFIX}{}", entry.path), digest)
    })
}

/// The parts that differ between two keys. Where both keys name what is in a part, the names that
/// differ stand for it.
pub fn changed(now: &Parts, before: &Parts) -> Vec<String> {
    let differs = |name: &&String| now.get(*name) != before.get(*name);
    let mut names: Vec<String> = now.keys().chain(before.keys()).filter(differs).cloned().collect();
    for (group, prefix) in GROUPS {
        let is_named = now.get(group) != before.get(group)
            && names_all(now, group, prefix)
            && names_all(before, group, prefix);
        match is_named && names.iter().any(|name| name.starts_with(prefix)) {
            true => names.retain(|name| name != group),
            false => names.retain(|name| !name.starts_with(prefix)),
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether a key names one by one what is in a part: one of a former build, or one of too many
/// files, does not.
fn names_all(parts: &Parts, group: &str, prefix: &str) -> bool {
    let is_empty = match parts.get(group) {
        None => true,
        Some(digest) => *digest == Digest::of_json(&json!({})),
    };
    is_empty || parts.keys().any(|name| name.starts_with(prefix))
}

/// A part in words.
pub fn word(part: &str) -> String {
    match (part, part.split_once(':')) {
        ("with", _) => "its parameters".into(),
        ("env", _) => "its environment".into(),
        ("action", _) => "the action or its version".into(),
        ("files", _) => "the files".into(),
        ("artifacts", _) => "the list of its artifacts".into(),
        ("reports", _) => "the globs of its reports".into(),
        ("services", _) => "its services".into(),
        ("secrets", _) => "the names or versions of its secrets".into(),
        ("split", _) => "its share of the files".into(),
        ("salt", _) => "its salt".into(),
        ("sandbox", _) => "its isolation or network".into(),
        (_, Some(("file", path))) => path.to_owned(),
        (_, Some(("with", name))) => format!("parameter {name}"),
        (_, Some(("env", name))) => format!("variable {name}"),
        (_, Some(("input", path))) => format!("the artifact at {path}"),
        (other, _) => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(names: &[(&str, &str)]) -> Parts {
        names.iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text.as_bytes()))).collect()
    }

    #[test]
    fn what_is_named_one_by_one_stands_for_its_part() {
        let before = parts(&[("env", "1"), ("env:CC", "gcc"), ("env:A", "a"), ("action", "x")]);
        let now = parts(&[("env", "2"), ("env:CC", "clang"), ("env:A", "a"), ("action", "x")]);
        assert_eq!(changed(&now, &before), ["env:CC"]);
        assert_eq!(word("env:CC"), "variable CC");
    }

    #[test]
    fn a_key_that_names_nothing_one_by_one_leaves_the_part_as_a_whole() {
        let before = parts(&[("with", "1"), ("files", "t")]);
        let now = parts(&[("with", "2"), ("with:script", "s"), ("files", "t"), ("file:a", "a")]);
        assert_eq!(changed(&now, &before), ["with"]);
    }

    #[test]
    fn a_variable_beside_an_environment_that_was_empty_is_named() {
        let mut before = Parts::new();
        before.insert("env".into(), Digest::of_json(&json!({})));
        let now = parts(&[("env", "1"), ("env:CC", "gcc")]);
        assert_eq!(changed(&now, &before), ["env:CC"]);
    }
}

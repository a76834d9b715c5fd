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

/// The most files of a workspace that a key names one by one.
pub const FILES_NAMED_MAX: usize = 500;

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
        parts.insert(format!("input:{path}"), *digest);
    }
    StepKey { digest: digest(&parts), parts }
}

/// The digest over all parts but those that only explain `files`.
pub fn digest(parts: &BTreeMap<String, Digest>) -> Digest {
    let joined: BTreeMap<&str, String> = parts
        .iter()
        .filter(|(name, _)| !name.starts_with(FILE_PREFIX))
        .map(|(name, digest)| (name.as_str(), digest.to_string()))
        .collect();
    Digest::of_json(&json!(joined))
}

/// Names the files of a workspace in its step's key, so that a miss can say which one changed.
/// A workspace of more than [`FILES_NAMED_MAX`] files keeps the part `files` alone.
pub fn name_files(key: &mut StepKey, tree: &Tree) {
    if tree.entries.len() > FILES_NAMED_MAX {
        return;
    }
    for entry in &tree.entries {
        let digest = match &entry.kind {
            TreeEntryKind::File { digest, executable: false, .. } => *digest,
            TreeEntryKind::File { digest, .. } => Digest::of_json(&json!(["executable", digest])),
            TreeEntryKind::Link { target } => Digest::of_json(&json!(["link", target])),
        };
        key.parts.insert(format!("{FILE_PREFIX}{}", entry.path), digest);
    }
}

/// The parts that differ between two keys, those that explain before those that they explain.
pub fn changed(now: &BTreeMap<String, Digest>, before: &BTreeMap<String, Digest>) -> Vec<String> {
    let mut names: Vec<String> = now
        .iter()
        .filter(|(name, digest)| before.get(*name) != Some(digest))
        .map(|(name, _)| name)
        .chain(before.keys().filter(|name| !now.contains_key(*name)))
        .cloned()
        .collect();
    if names.iter().any(|name| name.starts_with(FILE_PREFIX)) {
        names.retain(|name| name != "files");
    }
    names.sort_unstable();
    names
}

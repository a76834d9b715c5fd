//! What a compilation reads beside the pipeline's text: other pipelines, digests of files, the
//! snapshot that workspaces begin with, facts of git. The caller gathers it; nothing here does I/O.

use std::collections::BTreeMap;

use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use serde::{Deserialize, Serialize};

/// The files beside a pipeline. Paths are relative to its directory, with `/`, without `.` or `..`.
pub trait Files {
    /// The bytes of a file; absent where there is none.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// The digest of a file's bytes; absent where there is none.
    fn digest(&self, path: &str) -> Option<Digest> {
        self.read(path).map(|bytes| Digest::of(&bytes))
    }
}

/// What a compilation reads beside the pipeline's text.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The files beside the pipeline.
    pub files: &'a dyn Files,
    /// The snapshot of the pipeline's directory; absent where steps begin with an empty workspace.
    pub tree: Option<&'a Tree>,
    /// What git says of the directory; absent where there is no repository.
    pub git: Option<&'a Git>,
}

impl<'a> Sources<'a> {
    /// Nothing beside the text.
    pub const NONE: Sources<'static> = Sources { files: &NoFiles, tree: None, git: None };

    /// The digest of a file, from the snapshot or else from the files.
    pub fn digest(&self, path: &str) -> Option<Digest> {
        self.tree.and_then(|tree| file_digest(tree, path)).or_else(|| self.files.digest(path))
    }

    /// The snapshot's files with their digests, by path.
    pub fn listed(&self) -> impl Iterator<Item = (&'a str, Digest)> + use<'a> {
        self.tree.into_iter().flat_map(|tree| &tree.entries).filter_map(|entry| match &entry.kind {
            TreeEntryKind::File { digest, .. } => Some((entry.path.as_str(), *digest)),
            TreeEntryKind::Link { .. } => None,
        })
    }
}

fn file_digest(tree: &Tree, path: &str) -> Option<Digest> {
    let at = tree.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
    match &tree.entries.get(at)?.kind {
        TreeEntryKind::File { digest, .. } => Some(*digest),
        TreeEntryKind::Link { .. } => None,
    }
}

/// What `git` means in expressions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit that is checked out, 40 hexadecimal digits.
    pub sha: String,
    /// Its first 7 digits.
    pub short: String,
    /// The branch that is checked out, if any.
    pub branch: Option<String>,
    /// A tag of the commit, if any.
    pub tag: Option<String>,
    /// Whether files differ from the commit.
    pub dirty: bool,
}

impl Git {
    /// The words behind `git.`.
    pub const FIELDS: [&'static str; 5] = ["sha", "short", "branch", "tag", "dirty"];
}

/// No files at all: for a pipeline whose text came alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}

/// Files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles(pub BTreeMap<String, Vec<u8>>);

impl MemoryFiles {
    /// Takes paths and texts.
    pub fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(
            files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
                .collect(),
        )
    }

    /// The snapshot of these files.
    pub fn tree(&self) -> Tree {
        let entry = |(path, bytes): (&String, &Vec<u8>)| TreeEntry {
            path: path.clone(),
            kind: TreeEntryKind::File {
                digest: Digest::of(bytes),
                size: bytes.len() as u64,
                executable: false,
            },
        };
        Tree { entries: self.0.iter().map(entry).collect() }
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.0.get(path).cloned()
    }
}

/// The path that `relative` means in the directory `base`; absent where it leaves the root.
pub fn join(base: &str, relative: &str) -> Option<String> {
    let mut words: Vec<&str> = base.split('/').filter(|word| !word.is_empty()).collect();
    if relative.starts_with('/') {
        return None;
    }
    for word in relative.split('/') {
        match word {
            "" | "." => {}
            ".." => {
                words.pop()?;
            }
            other => words.push(other),
        }
    }
    (!words.is_empty()).then(|| words.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_and_never_leaves_the_root() {
        assert_eq!(join("ci", "../lib/./a.yaml"), Some("lib/a.yaml".into()));
        assert_eq!(join("", "./a.yaml"), Some("a.yaml".into()));
        assert_eq!(join("ci", "../../a.yaml"), None);
        assert_eq!(join("", "/etc/passwd"), None);
    }
}

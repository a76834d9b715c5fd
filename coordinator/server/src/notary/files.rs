//! A run's files: records and statements, which are kept beside the rows, and artifacts, which lie in
//! object storage. Each has one path, and no path is another's beginning.

use std::collections::HashSet;

use maestro_evidence::statement::Subject;
use maestro_evidence::statement::run::file;
use maestro_evidence::tree::{self, Limits};
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE, TreeEntryKind};
use maestro_schemas::digest::Digest;

use super::{Notary, Unsigned, subject};
use crate::store::evidence::{self, Due};

/// The most notes about what is left out.
const NOTES_MAX: usize = 100;

/// What was gathered of a run.
pub(super) struct Files<'a> {
    pub(super) notary: &'a Notary,
    pub(super) due: &'a Due,
    /// The files, in the order in which they were gathered.
    pub(super) list: Vec<Subject>,
    /// What is not here, in words.
    pub(super) left_out: Vec<String>,
    paths: HashSet<String>,
}

impl<'a> Files<'a> {
    pub(super) fn new(notary: &'a Notary, due: &'a Due) -> Self {
        let (list, left_out) = (Vec::new(), Vec::new());
        Self { notary, due, list, left_out, paths: HashSet::new() }
    }

    /// Keeps a file's bytes and names it.
    pub(super) async fn keep(&mut self, path: String, body: &[u8]) -> Result<Digest, Unsigned> {
        let digest = Digest::of(body);
        evidence::keep(&self.notary.pool, self.due.run, digest, body).await?;
        self.name(path, digest);
        Ok(digest)
    }

    /// Names what a step made: a file, or a directory with its list and every file in it.
    pub(super) async fn artifact(&mut self, step: &str, artifact: &Artifact) {
        let place = format!("{}/{}/{}", file::ARTIFACTS, clean(step), clean(&artifact.role));
        let place = self.free(place);
        if artifact.media_type != TREE_MEDIA_TYPE {
            return self.name(place, artifact.digest);
        }
        match tree::get(&self.notary.store, artifact.digest, Limits::default()).await {
            Ok(tree) => {
                self.name(format!("{place}.tree.json"), artifact.digest);
                for entry in &tree.entries {
                    if let TreeEntryKind::File { digest, .. } = entry.kind {
                        self.name(format!("{place}/{}", entry.path), digest);
                    }
                }
            }
            Err(error) => {
                self.leave_out(format!("{} of {step}: {error}", artifact.role));
            }
        }
    }

    pub(super) fn leave_out(&mut self, note: String) {
        if self.left_out.len() < NOTES_MAX {
            self.left_out.push(note.chars().take(500).collect());
        }
    }

    fn name(&mut self, path: String, digest: Digest) {
        self.paths.insert(path.clone());
        self.list.push(subject(path, digest));
    }

    /// The path, or the first of those with a number behind it that nothing has.
    fn free(&mut self, path: String) -> String {
        let numbered = (2_u32..).map(|number| format!("{path}-{number}"));
        let mut paths = std::iter::once(path.clone()).chain(numbered);
        let free = paths.find(|path| !self.paths.contains(path)).unwrap_or(path);
        self.paths.insert(free.clone());
        self.paths.insert(format!("{free}.tree.json"));
        free
    }
}

/// A step's or a role's name as a path: letters, digits, `-`, `_`, `.` and single `/` between.
pub(super) fn clean(name: &str) -> String {
    let part = |part: &str| {
        let fit = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let text: String = part.chars().map(|c| if fit(c) { c } else { '_' }).collect();
        match text.trim_start_matches('.') {
            "" => "_".to_owned(),
            text => text.chars().take(120).collect(),
        }
    };
    name.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn a_name_becomes_a_path_that_leads_nowhere_else() {
        assert_eq!(clean("build/typescript"), "build/typescript");
        assert_eq!(clean("test/unit[3]"), "test/unit_3_");
        assert_eq!(clean("../../etc/passwd"), "_/_/etc/passwd");
        assert_eq!(clean("a//b"), "a/_/b");
        assert_eq!(clean(".hidden\n"), "hidden_");
    }
}

//! The files that a step's workspace begins with.

use std::collections::BTreeMap;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use maestro_schemas::artifact::Tree;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Workspace;

/// The most globs of one step.
pub const GLOBS_MAX: usize = 100;

/// Globs, of which those with `!` before them take away again.
pub struct Selection {
    with: GlobSet,
    without: GlobSet,
}

impl Selection {
    /// Reads globs: `*` stays within a directory, `**` does not, and a directory's own path stands
    /// for all below it. The error says in words what is wrong.
    pub fn new<'a>(globs: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let (mut with, mut without) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for (index, glob) in globs.into_iter().enumerate() {
            if index >= GLOBS_MAX {
                return Err(format!("at most {GLOBS_MAX} globs"));
            }
            let (set, pattern) = match glob.strip_prefix('!') {
                Some(pattern) => (&mut without, pattern),
                None => (&mut with, glob),
            };
            let pattern = pattern.strip_prefix("./").unwrap_or(pattern).trim_end_matches('/');
            for pattern in [pattern.to_owned(), format!("{pattern}/**")] {
                let glob = GlobBuilder::new(&pattern)
                    .literal_separator(true)
                    .build()
                    .map_err(|error| error.kind().to_string())?;
                set.add(glob);
            }
        }
        let build = |set: GlobSetBuilder| set.build().map_err(|error| error.kind().to_string());
        Ok(Self { with: build(with)?, without: build(without)? })
    }

    /// Whether a path is meant.
    pub fn contains(&self, path: &str) -> bool {
        self.with.is_match(path) && !self.without.is_match(path)
    }
}

/// The trees that a plan's workspaces name.
#[derive(Default)]
pub struct Trees {
    /// By digest.
    pub found: BTreeMap<Digest, Tree>,
    whole: Option<Digest>,
}

impl Trees {
    /// The workspace of all files.
    pub fn whole(&mut self, tree: &Tree) -> Workspace {
        let digest = match self.whole {
            Some(digest) => digest,
            None => self.add(tree.clone()),
        };
        self.whole = Some(digest);
        Workspace::Tree { digest }
    }

    /// The workspace of the files that are meant.
    pub fn part(&mut self, tree: &Tree, selection: &Selection) -> Workspace {
        let entries =
            tree.entries.iter().filter(|entry| selection.contains(&entry.path)).cloned().collect();
        Workspace::Tree { digest: self.add(Tree { entries }) }
    }

    fn add(&mut self, tree: Tree) -> Digest {
        let digest = Digest::of_json(&serde_json::to_value(&tree).unwrap_or_default());
        self.found.insert(digest, tree);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_directory_and_an_exclamation_mark_takes_away() {
        let selection = Selection::new(["src/*.ts", "lib", "!lib/gen/**"]).expect("globs");
        assert!(selection.contains("src/app.ts"));
        assert!(!selection.contains("src/deep/app.ts"));
        assert!(selection.contains("lib/deep/x.ts"));
        assert!(!selection.contains("lib/gen/x.ts"));
        assert!(Selection::new(["a[b"]).is_err());
    }
}

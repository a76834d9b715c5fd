//! The files of a workspace that globs match. Links are never followed.

use std::path::Path;

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The most entries of the workspace that are looked at.
const ENTRIES_MAX: usize = 500_000;

/// The deepest directory.
const DEPTH_MAX: usize = 64;

/// What git keeps for itself.
const GIT: &str = ".git";

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Paths below the root, in order.
    pub(super) files: Vec<String>,
    /// Whether not all entries were looked at.
    pub(super) is_cut: bool,
}

/// Files below `root` that match, at most `most`; a glob that is none matches nothing.
pub(super) fn matching(root: &Path, globs: &[String], most: usize) -> Found {
    look(root, globs, (most, ENTRIES_MAX))
}

fn look(root: &Path, globs: &[String], (most, entries_max): (usize, usize)) -> Found {
    let Some(set) = set(globs) else { return Found { files: Vec::new(), is_cut: false } };
    let deepest = globs.iter().map(|glob| deepest(glob)).max().unwrap_or_default();
    let mut walk = Walk { root, globs: set, found: Vec::new(), most, deepest, left: entries_max };
    // One that lies in another is looked through with it.
    let mut starts: Vec<String> = globs.iter().map(|glob| literal(glob)).collect();
    starts.sort_unstable();
    let mut is_cut = false;
    for (index, start) in starts.iter().enumerate() {
        let is_in = |other: &String| is_below(start, other);
        if starts.iter().take(index).any(is_in) || !is_looked_through(root, start) {
            continue;
        }
        is_cut |= walk.directory(start, start.split('/').filter(|part| !part.is_empty()).count());
    }
    walk.found.sort_unstable();
    Found { files: walk.found, is_cut }
}

fn plain(glob: &str) -> &str {
    glob.strip_prefix("./").unwrap_or(glob)
}

fn set(globs: &[String]) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let mut builder = globset::GlobBuilder::new(plain(glob));
        set.add(builder.literal_separator(true).build().or_else(|_| Glob::new("")).ok()?);
    }
    set.build().ok()
}

/// The directory that all matches of a glob lie in, without what is no plain name of one.
fn literal(glob: &str) -> String {
    let is_literal = |part: &&str| {
        !part.is_empty()
            && *part != "."
            && *part != ".."
            && !part.contains(['*', '?', '[', '{', '\\'])
    };
    let parts: Vec<&str> = plain(glob).split('/').collect();
    let directories = parts.split_last().map(|(_, directories)| directories).unwrap_or_default();
    directories.iter().copied().take_while(is_literal).collect::<Vec<_>>().join("/")
}

/// The deepest directory that a match of a glob can lie in.
fn deepest(glob: &str) -> usize {
    match glob.contains("**") || glob.contains('[') {
        true => usize::MAX,
        false => plain(glob).matches('/').count(),
    }
}

fn is_below(path: &str, directory: &str) -> bool {
    let rest = path.strip_prefix(directory);
    directory.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path below the root leads through directories only, no link, and not to what git keeps.
fn is_looked_through(root: &Path, path: &str) -> bool {
    if is_below(path, GIT) {
        return false;
    }
    let mut whole = root.to_owned();
    path.split('/').filter(|part| !part.is_empty()).all(|part| {
        whole.push(part);
        std::fs::symlink_metadata(&whole).is_ok_and(|meta| meta.is_dir())
    })
}

struct Walk<'a> {
    root: &'a Path,
    globs: GlobSet,
    found: Vec<String>,
    most: usize,
    /// The deepest directory that something can match in.
    deepest: usize,
    /// How many entries are looked at yet.
    left: usize,
}

impl Walk<'_> {
    /// Looks through a directory; whether something of it was not looked at.
    fn directory(&mut self, below: &str, depth: usize) -> bool {
        let Ok(entries) = std::fs::read_dir(self.root.join(below)) else { return false };
        let mut entries = entries.flatten();
        let mut names: Vec<(String, bool)> = Vec::new();
        for entry in entries.by_ref().take(self.left) {
            self.left -= 1;
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            if kind.is_dir() || kind.is_file() {
                names.push((name, kind.is_dir()));
            }
        }
        let mut is_cut = self.left == 0 && entries.next().is_some();
        names.sort_unstable();
        for (name, is_directory) in names {
            if self.found.len() >= self.most {
                break;
            }
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match is_directory {
                true if path == GIT || depth >= self.deepest => {}
                true if depth < DEPTH_MAX => is_cut |= self.directory(&path, depth + 1),
                true => is_cut = true,
                false if self.globs.is_match(&path) => self.found.push(path),
                false => {}
            }
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_files_in_order_and_links_are_not_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let outside = tempfile::tempdir().expect("a directory");
        std::fs::write(outside.path().join("c.xml"), "x").expect("a file");
        std::fs::create_dir_all(root.path().join("out/deep")).expect("directories");
        for path in ["out/b.xml", "out/a.xml", "out/deep/c.xml", "out/a.txt"] {
            std::fs::write(root.path().join(path), "x").expect("a file");
        }
        std::os::unix::fs::symlink(outside.path(), root.path().join("link")).expect("a link");
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("z.xml")).expect("a link");
        let find = |glob: &str, most| matching(root.path(), &[glob.to_owned()], most).files;
        assert_eq!(find("./out/*.xml", 9), ["out/a.xml", "out/b.xml"]);
        assert_eq!(find("**/*.xml", 9), ["out/a.xml", "out/b.xml", "out/deep/c.xml"]);
        assert_eq!(find("**/*.xml", 1), ["out/a.xml"]);
    }

    #[test]
    fn what_a_glob_cannot_match_is_not_looked_at_and_what_is_not_looked_at_is_told() {
        let root = tempfile::tempdir().expect("a directory");
        for number in 0..20 {
            let path = root.path().join(format!("node_modules/{number}"));
            std::fs::create_dir_all(path).expect("a directory");
        }
        for path in ["out/deep/a.xml", "out/deep/b.xml", "out/c.xml", ".git/x.xml"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, "x").expect("a file");
        }
        std::os::unix::fs::symlink("out", root.path().join("link")).expect("a link");
        let look = |globs: &[&str], entries| {
            let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            let found = look(root.path(), &globs, (9, entries));
            (found.files, found.is_cut)
        };
        let all = ["out/c.xml", "out/deep/a.xml", "out/deep/b.xml"].map(str::to_owned);
        assert_eq!(look(&["out/**/*.xml"], 4), (all.to_vec(), false));
        assert_eq!(look(&["./out/deep/*.xml"], 2), (all[1..].to_vec(), false));
        assert_eq!(
            look(&["out/deep/*.xml", "out/**/*.xml", "out/*.xml"], 4),
            (all.to_vec(), false)
        );
        assert!(look(&["out/**/*.xml"], 3).1);
        assert!(look(&["**/*.xml"], 4).1);
        assert_eq!(look(&["*/c.xml"], 26), (all[..1].to_vec(), false));
        assert_eq!(look(&["*.xml"], 4), (Vec::new(), false));
        assert_eq!(look(&["**/*.xml"], 99), (all.to_vec(), false));
        for glob in
            [".git/*.xml", "link/*.xml", "link/deep/*.xml", "../*.xml", "none/*.xml", "out/c.xml/*"]
        {
            assert_eq!(look(&[glob], 99), (Vec::new(), false), "{glob}");
        }
    }
}

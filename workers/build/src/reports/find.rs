//! The files of a workspace that globs match. Links are never followed.

use std::path::Path;

use globset::{Glob, GlobSet, GlobSetBuilder};

/// The most entries of the workspace that are looked at.
const ENTRIES_MAX: usize = 500_000;

/// The deepest directory.
const DEPTH_MAX: usize = 64;

/// Paths below `root` that match, in order, at most `most`; a glob that is none matches nothing.
pub(super) fn matching(root: &Path, globs: &[String], most: usize) -> Vec<String> {
    let Some(globs) = set(globs) else { return Vec::new() };
    let mut found = Vec::new();
    let mut left = ENTRIES_MAX;
    walk(root, "", &globs, &mut (&mut found, &mut left, most), 0);
    found
}

fn set(globs: &[String]) -> Option<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let plain = glob.strip_prefix("./").unwrap_or(glob);
        let mut builder = globset::GlobBuilder::new(plain);
        set.add(builder.literal_separator(true).build().or_else(|_| Glob::new("")).ok()?);
    }
    set.build().ok()
}

type State<'a> = (&'a mut Vec<String>, &'a mut usize, usize);

fn walk(root: &Path, below: &str, globs: &GlobSet, state: &mut State<'_>, depth: usize) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else { return };
    let mut names: Vec<(String, bool)> = entries
        .flatten()
        .take(*state.1)
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            let name = entry.file_name().into_string().ok()?;
            (kind.is_dir() || kind.is_file()).then_some((name, kind.is_dir()))
        })
        .collect();
    *state.1 = state.1.saturating_sub(names.len());
    names.sort_unstable();
    for (name, is_directory) in names {
        if state.0.len() >= state.2 {
            return;
        }
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        match is_directory {
            true if depth < DEPTH_MAX && path != ".git" => {
                walk(root, &path, globs, state, depth + 1);
            }
            false if globs.is_match(&path) => state.0.push(path),
            _ => {}
        }
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
        let find = |glob: &str, most| matching(root.path(), &[glob.to_owned()], most);
        assert_eq!(find("./out/*.xml", 9), ["out/a.xml", "out/b.xml"]);
        assert_eq!(find("**/*.xml", 9), ["out/a.xml", "out/b.xml", "out/deep/c.xml"]);
        assert_eq!(find("**/*.xml", 1), ["out/a.xml"]);
    }
}

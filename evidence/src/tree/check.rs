//! What a tree must be before anything is written by it.

use std::collections::HashSet;

use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};

use super::{DEPTH_MAX, Error, Limits, PATH_BYTES_MAX};

/// Refuses a tree whose paths or links could lead out of its directory, that names a path twice,
/// that puts something below a file or link, that is not sorted, or that is too large.
pub fn check(tree: &Tree, limits: Limits) -> Result<(), Error> {
    if tree.entries.len() > limits.entries_max {
        return Err(Error::TooMany { limit: limits.entries_max });
    }
    check_size(tree, limits)?;
    let mut taken = HashSet::with_capacity(tree.entries.len());
    let mut before: Option<&str> = None;
    for entry in &tree.entries {
        check_path(&entry.path)?;
        if before.is_some_and(|before| before >= entry.path.as_str()) {
            return Err(Error::path(&entry.path, "it is named twice or out of order"));
        }
        before = Some(&entry.path);
        taken.insert(entry.path.as_str());
    }
    tree.entries.iter().try_for_each(|entry| {
        check_parents(entry, &taken)?;
        check_link(entry)
    })
}

fn check_size(tree: &Tree, limits: Limits) -> Result<(), Error> {
    let sum = tree.entries.iter().try_fold(0u64, |sum, entry| {
        let size = match &entry.kind {
            TreeEntryKind::File { size, .. } => *size,
            TreeEntryKind::Link { .. } => 0,
        };
        sum.checked_add(size)
    });
    match sum {
        Some(sum) if sum <= limits.total_bytes_max => Ok(()),
        _ => Err(Error::TooLarge { limit: limits.total_bytes_max }),
    }
}

/// Refuses a path that is not plain names with `/` between them.
pub(super) fn check_path(path: &str) -> Result<(), Error> {
    let refuse = |problem| Err(Error::path(path, problem));
    if path.len() > PATH_BYTES_MAX {
        return refuse("it is too long");
    }
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    if path.contains('\0') {
        return refuse("it holds a zero byte");
    }
    if path.split('/').count() > DEPTH_MAX {
        return refuse("it is too deep");
    }
    for name in path.split('/') {
        match name {
            "" => return refuse("a name in it is empty"),
            "." | ".." => return refuse("it holds '.' or '..'"),
            _ if name.len() > 255 => return refuse("a name in it is too long"),
            _ => {}
        }
    }
    Ok(())
}

/// Nothing may lie below a file or a link; so the directories of an entry are directories.
fn check_parents(entry: &TreeEntry, taken: &HashSet<&str>) -> Result<(), Error> {
    let blocked = entry
        .path
        .match_indices('/')
        .filter_map(|(at, _)| entry.path.get(..at))
        .any(|parent| taken.contains(parent));
    if blocked {
        return Err(Error::path(&entry.path, "it lies below a file or link"));
    }
    Ok(())
}

/// A link may go up as far as its directory lies deep, and then only down.
///
/// `..` behind a name is refused although it may stay inside: the name may itself be a link, and
/// then what `..` means depends on where that leads.
fn check_link(entry: &TreeEntry) -> Result<(), Error> {
    let TreeEntryKind::Link { target } = &entry.kind else {
        return Ok(());
    };
    let escape = || Error::Escape {
        path: entry.path.chars().take(120).collect(),
        target: target.chars().take(120).collect(),
    };
    if target.is_empty() || target.len() > PATH_BYTES_MAX || target.contains('\0') {
        return Err(Error::path(&entry.path, "its link is empty or too long"));
    }
    if target.starts_with('/') {
        return Err(escape());
    }
    let mut depth = entry.path.matches('/').count();
    let mut down = false;
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." if down => return Err(escape()),
            ".." => depth = depth.checked_sub(1).ok_or_else(escape)?,
            _ => down = true,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use maestro_schemas::digest::Digest;

    use super::*;

    fn file(path: &str) -> TreeEntry {
        TreeEntry {
            path: path.into(),
            kind: TreeEntryKind::File { digest: Digest::of(b"x"), size: 1, executable: false },
        }
    }

    fn link(path: &str, target: &str) -> TreeEntry {
        TreeEntry { path: path.into(), kind: TreeEntryKind::Link { target: target.into() } }
    }

    fn verdict(entries: Vec<TreeEntry>) -> Result<(), Error> {
        check(&Tree { entries }, Limits::default())
    }

    #[test]
    fn a_plain_tree_with_links_inside_passes() {
        verdict(vec![
            file("bin/tool"),
            link("current", "bin"),
            link("lib/deep/up", "../../bin/tool"),
            link("lib/here", "./deep"),
        ])
        .expect("a harmless tree");
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "", "a/", "a\0b"] {
            assert!(verdict(vec![file(path)]).is_err(), "{path:?} passed");
        }
        assert!(verdict(vec![file(&"a/".repeat(70).replace("//", "/"))]).is_err());
        assert!(verdict(vec![file(&"a".repeat(2000))]).is_err());
    }

    #[test]
    fn links_that_lead_out_are_refused() {
        for target in ["/etc", "..", "../x", "b/../../x", "b/..", "", "./../x"] {
            assert!(verdict(vec![link("a", target)]).is_err(), "{target:?} passed");
        }
        assert!(verdict(vec![link("d/a", "../..")]).is_err());
    }

    #[test]
    fn doubles_disorder_and_things_below_files_are_refused() {
        assert!(verdict(vec![file("a"), file("a")]).is_err());
        assert!(verdict(vec![file("b"), file("a")]).is_err());
        assert!(verdict(vec![link("a", "b"), file("a/b")]).is_err());
        assert!(verdict(vec![file("a"), file("a-b"), file("a/b")]).is_err());
    }

    #[test]
    fn sizes_that_overflow_or_pass_the_limit_are_refused() {
        let huge = |path: &str| TreeEntry {
            path: path.into(),
            kind: TreeEntryKind::File {
                digest: Digest::of(b"x"),
                size: u64::MAX,
                executable: false,
            },
        };
        assert!(matches!(verdict(vec![huge("a"), huge("b")]), Err(Error::TooLarge { .. })));
        let limits = Limits { entries_max: 1, ..Limits::default() };
        let two = Tree { entries: vec![file("a"), file("b")] };
        assert!(matches!(check(&two, limits), Err(Error::TooMany { limit: 1 })));
    }
}

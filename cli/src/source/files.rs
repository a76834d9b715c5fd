//! The files of a directory, without what is ignored.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use super::Error;

/// The most files and links of a snapshot.
pub const FILES_MAX: usize = 200_000;
/// The most bytes of a snapshot.
pub const BYTES_MAX: u64 = 8 << 30;
/// Never part of a snapshot: the local stack's state and git's own.
const NEVER: [&str; 2] = [".maestro", ".git"];

/// One file or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Below the directory, with `/`.
    pub path: String,
    /// Where it is.
    pub place: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File {
        /// The number of its bytes when it was listed.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A link that stays within the directory.
    Link {
        /// What it says.
        target: String,
    },
}

/// Files, sorted by path, and what was passed over for a reason that people should know.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files.
    pub files: Vec<Found>,
    /// Sentences.
    pub warnings: Vec<String>,
}

/// Lists the directory. Sockets, devices and links that lead out of it are passed over.
pub fn list(root: &Path) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    let mut bytes = 0u64;
    for entry in walk(root) {
        let entry = entry.map_err(|source| Error::List { path: root.to_owned(), source })?;
        let Some(found) = look(root, &entry, &mut listing.warnings)? else { continue };
        if let Kind::File { size, .. } = found.kind {
            bytes = bytes.saturating_add(size);
        }
        if bytes > BYTES_MAX {
            return Err(Error::Large { path: root.to_owned(), most: BYTES_MAX });
        }
        if listing.files.len() >= FILES_MAX {
            return Err(Error::Many { path: root.to_owned(), most: FILES_MAX });
        }
        listing.files.push(found);
    }
    listing.files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(listing)
}

fn walk(root: &Path) -> ignore::Walk {
    WalkBuilder::new(root)
        .hidden(false)
        .parents(true)
        .ignore(false)
        .git_ignore(true)
        .git_exclude(true)
        // What one person ignores everywhere must not change what a run sees.
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .add_custom_ignore_filename(".maestroignore")
        .filter_entry(|entry| {
            entry.depth() == 0 || !NEVER.iter().any(|name| entry.file_name() == *name)
        })
        .build()
}

fn look(root: &Path, entry: &DirEntry, warnings: &mut Vec<String>) -> Result<Option<Found>, Error> {
    let place = entry.path();
    let Some(kind) = entry.file_type() else { return Ok(None) };
    if kind.is_dir() {
        return Ok(None);
    }
    let below = place.strip_prefix(root).unwrap_or(place);
    let path = below.to_str().ok_or_else(|| Error::Name { path: place.to_owned() })?.to_owned();
    if kind.is_file() {
        let meta = fs::metadata(place).map_err(Error::file("read", place))?;
        let executable = meta.permissions().mode() & 0o100 != 0;
        return Ok(Some(Found {
            path,
            place: place.to_owned(),
            kind: Kind::File { size: meta.len(), executable },
        }));
    }
    if kind.is_symlink() {
        let target = fs::read_link(place).map_err(Error::file("read", place))?;
        if !stays_within(below, &target) {
            warnings
                .push(format!("{path} is a link that leads out of the directory; it is left out"));
            return Ok(None);
        }
        let target =
            target.to_str().ok_or_else(|| Error::Name { path: place.to_owned() })?.to_owned();
        return Ok(Some(Found { path, place: place.to_owned(), kind: Kind::Link { target } }));
    }
    warnings.push(format!("{path} is neither a file nor a link; it is left out"));
    Ok(None)
}

/// Whether a link at `path` below the root names a place below the root.
fn stays_within(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn paths(root: &Path) -> Vec<String> {
        list(root).unwrap().files.into_iter().map(|found| found.path).collect()
    }

    #[test]
    fn what_is_ignored_and_what_is_ours_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for path in [
            "maestro.yaml",
            "src/a.ts",
            "src/b.log",
            ".env.example",
            "target/x",
            ".maestro/state.json",
            "z/big",
        ] {
            write(root, path, "x");
        }
        write(root, ".gitignore", "target/\n*.log\n");
        write(root, ".maestroignore", "z\n");
        write(root, ".git/HEAD", "ref: refs/heads/main\n");
        assert_eq!(
            paths(root),
            [".env.example", ".gitignore", ".maestroignore", "maestro.yaml", "src/a.ts"]
        );
    }

    #[test]
    fn a_link_that_leads_out_is_left_out_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "a/file", "x");
        symlink("file", root.join("a/good")).unwrap();
        symlink("../../etc/passwd", root.join("a/bad")).unwrap();
        symlink("/etc/passwd", root.join("worse")).unwrap();
        assert_eq!(paths(root), ["a/file", "a/good"]);
        assert_eq!(list(root).unwrap().warnings.len(), 2);
    }

    #[test]
    fn the_order_is_that_of_the_paths_as_text() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a/b", "a.b", "a-b", "A"] {
            write(dir.path(), path, "x");
        }
        assert_eq!(paths(dir.path()), ["A", "a-b", "a.b", "a/b"]);
    }
}

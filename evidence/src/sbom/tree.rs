//! The files that tell of packages, by their paths.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::error::{Code, Error, Place};
use super::limits::Limits;
use super::read;

/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 4096;

/// Files that tell of packages.
#[derive(Debug)]
pub(crate) struct Tree {
    limits: Limits,
    files: BTreeMap<String, Bytes>,
    bytes: u64,
}

/// Whether a file at `path`, below what is described, tells of packages.
///
/// `path` has `/` between names; a `/` or `./` before them does not matter.
pub fn reads(path: &str) -> bool {
    let path = plain(path);
    let (directory, name) = split(path);
    !is_passed_over(directory) && read::knows(directory, name)
}

/// Whether what lies in a directory belongs to a package that was brought along, or to a tool.
pub(crate) fn is_passed_over(directory: &str) -> bool {
    directory.split('/').any(|name| {
        matches!(name, "node_modules" | "site-packages" | "dist-packages" | "__pycache__" | "venv")
            || (name.starts_with('.') && name.len() > 1)
    })
}

/// The directory of a path, and its name in it.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A path in a directory; nothing where it leads out of the tree.
pub(crate) fn join(directory: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> =
        directory.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    if path.starts_with('/') || path.contains('\\') {
        return None;
    }
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

fn plain(path: &str) -> &str {
    path.strip_prefix("./").unwrap_or(path).trim_start_matches('/')
}

impl Tree {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, files: BTreeMap::new(), bytes: 0 }
    }

    /// Adds a file, where it tells of packages; the later of one path replaces the earlier.
    pub(crate) fn add(&mut self, path: &str, bytes: Bytes) -> Result<(), Error> {
        if !reads(path) {
            return Ok(());
        }
        self.check(path, bytes.len() as u64)?;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.files.insert(plain(path).to_owned(), bytes);
        Ok(())
    }

    /// Adds a file that another of the tree takes in, whatever its name is.
    pub(crate) fn take_in(&mut self, path: String, bytes: Bytes) -> Result<(), Error> {
        self.check(&path, bytes.len() as u64)?;
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.files.insert(path, bytes);
        Ok(())
    }

    /// Refuses a file of `size` bytes that would be too much.
    pub(crate) fn check(&self, path: &str, size: u64) -> Result<(), Error> {
        let limits = &self.limits;
        let too = |message: &str, most: String| {
            Err(Error::new(Code::Limit, path, Place::Whole, message).expected(most))
        };
        if path.len() > PATH_BYTES_MAX {
            return too("its path is too long", format!("at most {PATH_BYTES_MAX} bytes"));
        }
        if path.split('/').count() > limits.depth_max {
            return too("lies too deep", format!("at most {} names", limits.depth_max));
        }
        if size > limits.file_bytes_max {
            return too("is too large", format!("at most {} bytes", limits.file_bytes_max));
        }
        if self.bytes.saturating_add(size) > limits.total_bytes_max {
            let most = format!("at most {} bytes in all", limits.total_bytes_max);
            return too("is too large beside the others", most);
        }
        if self.files.len() >= limits.files_max {
            let most = format!("at most {}", limits.files_max);
            return too("is one file too many that tells of packages", most);
        }
        Ok(())
    }

    /// All files, sorted by path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, bytes)| (path.as_str(), &**bytes))
    }

    /// The path, as it stands here, and the bytes of a file.
    pub(crate) fn get(&self, path: &str) -> Option<(&str, &[u8])> {
        self.files.get_key_value(path).map(|(path, bytes)| (path.as_str(), &**bytes))
    }

    /// The bytes of the file `name` in a directory.
    pub(crate) fn beside(&self, directory: &str, name: &str) -> Option<(&str, &[u8])> {
        self.get(&join(directory, name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packages_bring_along_is_passed_over() {
        for path in ["Cargo.lock", "./a/package-lock.json", "/a/b/go.mod"] {
            assert!(reads(path), "{path}");
        }
        for path in ["Cargo.toml.orig", "node_modules/a/package-lock.json", "a/.b/go.mod", ""] {
            assert!(!reads(path), "{path}");
        }
    }

    #[test]
    fn a_path_that_leads_out_is_none() {
        assert_eq!(join("a/b", "../c/./d").as_deref(), Some("a/c/d"));
        assert_eq!(join("a", "../.."), None);
        assert_eq!(join("a", "/etc/passwd"), None);
    }

    #[test]
    fn the_directory_itself_is_no_name() {
        assert_eq!(join(".", "../a"), None);
        assert_eq!(join(".", "a/b").as_deref(), Some("a/b"));
    }

    #[test]
    fn too_much_is_refused_by_name() {
        let limits = Limits { files_max: 1, file_bytes_max: 3, depth_max: 2, ..Limits::default() };
        let mut tree = Tree::new(limits);
        for path in ["a/b/go.mod", "go.mod"] {
            assert_eq!(tree.add(path, "four".into()).unwrap_err().code(), Code::Limit);
        }
        tree.add("go.mod", "one".into()).unwrap();
        assert_eq!(tree.add("a/go.mod", "two".into()).unwrap_err().code(), Code::Limit);
    }
}

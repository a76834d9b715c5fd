//! The files of a directory that tell of packages.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::{Code, Error, Place};
use super::limits::Limits;
use super::read::missing;
use super::tree::{Tree, is_passed_over, reads};

/// What a cache's directory has, by <https://bford.info/cachedir/>; cargo's `target` is one.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// Reads a directory; links are not followed.
pub(crate) fn read(root: &Path, limits: Limits) -> Result<Tree, Error> {
    let mut tree = Tree::new(limits);
    let mut folders = vec![(root.to_owned(), String::new(), 1)];
    let mut entries = 0usize;
    while let Some((folder, prefix, depth)) = folders.pop() {
        if !prefix.is_empty() && folder.join(CACHE_MARK).is_file() {
            continue;
        }
        for (name, place, meta) in children(&folder, &prefix)? {
            entries += 1;
            if entries > limits.entries_max {
                let error = Error::new(Code::Limit, &prefix, Place::Whole, "has too many entries");
                return Err(error.expected(format!("at most {}", limits.entries_max)));
            }
            let path = format!("{prefix}{name}");
            if meta.is_file() && reads(&path) {
                tree.add(&path, take(&tree, &path, &place)?.into())?;
            } else if meta.is_dir() && depth < limits.depth_max && !is_passed_over(&name) {
                folders.push((place, format!("{path}/"), depth + 1));
            }
        }
    }
    follow(root, &mut tree)?;
    Ok(tree)
}

/// Reads what the files take in, and what that takes in; what is not there, the reader will refuse.
fn follow(root: &Path, tree: &mut Tree) -> Result<(), Error> {
    let mut tried = BTreeSet::new();
    loop {
        let mut missing = missing(tree);
        missing.retain(|path| tried.insert(path.clone()));
        if missing.is_empty() {
            return Ok(());
        }
        for path in missing {
            if let Some(place) = plain_file(root, &path) {
                let bytes = take(tree, &path, &place)?;
                tree.take_in(path, bytes.into())?;
            }
        }
    }
}

/// The place of a file that no link leads to.
fn plain_file(root: &Path, path: &str) -> Option<PathBuf> {
    let mut place = root.to_owned();
    for name in path.split('/') {
        place.push(name);
        if fs::symlink_metadata(&place).ok()?.is_symlink() {
            return None;
        }
    }
    place.is_file().then_some(place)
}

fn take(tree: &Tree, path: &str, place: &Path) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::unreadable(path, source);
    let file = File::open(place).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    tree.check(path, size)?;
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(size).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn children(folder: &Path, prefix: &str) -> Result<Vec<(String, PathBuf, Metadata)>, Error> {
    let shown = if prefix.is_empty() { "." } else { prefix.trim_end_matches('/') };
    let failed = |source| Error::unreadable(shown, source);
    let mut children = Vec::new();
    for child in fs::read_dir(folder).map_err(failed)? {
        let child = child.map_err(failed)?;
        // No file that is read has a name that is no UTF-8.
        let Ok(name) = child.file_name().into_string() else { continue };
        match fs::symlink_metadata(child.path()) {
            Ok(meta) => children.push((name, child.path(), meta)),
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(children)
}

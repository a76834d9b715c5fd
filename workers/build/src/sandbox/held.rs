//! Files that processes of a step hold open after they removed them: they lie in no directory, and take up
//! their disk for as long.
//!
//! Found by what the kernel lists of each process. One that is nothing but mapped, or on its way through a
//! socket, is in no list; for those the disk's last part is kept free.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::confine::{STATUS, Status};
use super::descendants;

/// What the kernel says behind the path of a file that was removed.
const REMOVED: &[u8] = b" (deleted)";

/// The most removed files that one look counts; who holds more is taken to hold too much.
const FILES_MAX: usize = 1_000_000;

/// Whose files are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holders {
    /// The processes of the sandboxes that have what is theirs below this directory.
    Sandboxes(PathBuf),
    /// Whoever holds what lay below this directory: at that level processes may leave their group.
    Anybody(PathBuf),
}

impl Holders {
    /// Bytes that removed files take up on the disk of `directory`.
    pub(super) fn bytes(&self, directory: &Path) -> u64 {
        let Ok(disk) = fs::metadata(directory).map(|meta| meta.dev()) else { return 0 };
        let (mut seen, mut bytes, mut left) = (HashSet::new(), 0u64, FILES_MAX);
        for id in self.processes() {
            let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
            for file in open.map(|file| file.path()) {
                if !self.are_after(&file) {
                    continue;
                }
                let Some(rest) = left.checked_sub(1) else { return u64::MAX };
                left = rest;
                // What is closed meanwhile takes up nothing.
                let Ok(meta) = fs::metadata(&file) else { continue };
                let is_removed = meta.is_file() && meta.nlink() == 0 && meta.dev() == disk;
                if is_removed && seen.insert(meta.ino()) {
                    bytes = bytes.saturating_add(meta.blocks().saturating_mul(512));
                }
            }
        }
        bytes
    }

    fn processes(&self) -> Vec<i32> {
        match self {
            Self::Sandboxes(directory) => {
                let sandboxes = fs::read_dir(directory).into_iter().flatten().flatten();
                let first =
                    sandboxes.filter_map(|one| Status::read(&one.path().join(STATUS)).child);
                first.flat_map(descendants::below).collect()
            }
            Self::Anybody(_) => descendants::all(),
        }
    }

    /// Whether an open file may be one of these holders', by the path that it had.
    fn are_after(&self, file: &Path) -> bool {
        let Ok(path) = fs::read_link(file) else { return false };
        path.as_os_str().as_bytes().ends_with(REMOVED)
            && match self {
                Self::Sandboxes(_) => true,
                Self::Anybody(directory) => path.starts_with(directory),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_file_counts_once_for_as_long_as_somebody_holds_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().canonicalize().expect("a path");
        let holders = Holders::Anybody(path.clone());
        let name = path.join("file");
        std::fs::write(&name, vec![1; 1 << 20]).expect("a file");
        let held = std::fs::File::open(&name).expect("a file");
        let twice = held.try_clone().expect("a file");
        assert_eq!(holders.bytes(&path), 0, "it has a name, which is counted elsewhere");
        std::fs::remove_file(&name).expect("removed");
        assert!((1 << 20..2 << 20).contains(&holders.bytes(&path)), "{}", holders.bytes(&path));
        drop((held, twice));
        assert_eq!(holders.bytes(&path), 0);
    }
}

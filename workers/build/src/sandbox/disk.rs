//! The size of an execution's own directories, watched while it runs.
//!
//! Every look asks the file system how much is taken, which is cheap. The directories are walked when
//! so much more is taken that they may be too large, and every [`WALK_PERIOD`]. What is shared with
//! other executions is walked only when the file system has grown by all that one may take up.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

const LOOK_PERIOD: Duration = Duration::from_millis(100);
const WALK_PERIOD: Duration = Duration::from_secs(10);

/// The most entries that one walk looks at; a tree of more is taken to be too large.
const ENTRIES_MAX: u64 = 10_000_000;

/// The directories of an execution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directories {
    /// What is its own.
    pub(crate) own: Vec<PathBuf>,
    /// What it shares with others, on the same disk.
    pub(crate) shared: Vec<PathBuf>,
}

/// Waits until an execution's directories take up more than `most` bytes, and says how much.
pub(crate) async fn overfull(directories: Directories, most: u64) -> u64 {
    let now = || directories.own.first().and_then(|directory| taken(directory)).unwrap_or(0);
    let (begun, mut taken_then, mut room) = (now(), 0, 0);
    let mut walk_at = Instant::now();
    loop {
        let taken = now();
        if taken.saturating_sub(taken_then) >= room || Instant::now() >= walk_at {
            let size = size_of(directories.own.clone()).await;
            if size > most {
                return size;
            }
            (room, taken_then) = (most - size, taken);
            walk_at = Instant::now() + WALK_PERIOD;
        }
        if taken.saturating_sub(begun) > most && !directories.shared.is_empty() {
            let size = size_of(directories.shared.clone()).await;
            if size > most {
                return size;
            }
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

async fn size_of(directories: Vec<PathBuf>) -> u64 {
    tokio::task::spawn_blocking(move || size(&directories)).await.unwrap_or(0)
}

/// Bytes that are taken of the file system that a directory lies on.
fn taken(directory: &Path) -> Option<u64> {
    let disk = statvfs(directory).ok()?;
    Some(disk.blocks().saturating_sub(disk.blocks_free()).saturating_mul(disk.fragment_size()))
}

/// Bytes that directories take up on their disk; a file of several names counts for each.
fn size(directories: &[PathBuf]) -> u64 {
    let mut left = ENTRIES_MAX;
    let mut open: Vec<PathBuf> = directories.to_vec();
    let mut size = 0u64;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let Some(rest) = left.checked_sub(1) else { return u64::MAX };
            left = rest;
            // What is removed meanwhile takes up nothing.
            let Ok(meta) = entry.metadata() else { continue };
            size = size.saturating_add(meta.blocks().saturating_mul(512));
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_grows_too_large_below_a_directory_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let deep = directory.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("directories");
        let own = Directories { own: vec![directory.path().to_owned()], shared: Vec::new() };
        let watch = tokio::spawn(overfull(own, 1 << 20));
        std::fs::write(deep.join("file"), vec![1; 2 << 20]).expect("a file");
        let size = tokio::time::timeout(Duration::from_secs(20), watch).await.expect("in time");
        assert!(size.expect("a size") > 2 << 20);
    }
}

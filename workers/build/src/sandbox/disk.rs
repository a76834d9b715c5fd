//! The size of an execution's own directories, watched while it runs.
//!
//! Every look asks the file system how much is taken, which is cheap. The directories are walked when
//! so much more is taken that they may be too large, and every [`WALK_PERIOD`]. What is shared with
//! other executions is walked only when the file system has grown by all that one may take up.
//!
//! Whatever a step hides from that, it is stopped before the disk is full.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

use super::held::Holders;
use super::size;

const LOOK_PERIOD: Duration = Duration::from_millis(100);
const WALK_PERIOD: Duration = Duration::from_secs(10);

/// What of a disk is left for its host while steps take up more of it, in bytes.
const LEFT_BYTES_MIN: u64 = 64 << 20;

/// What an execution takes up of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taking {
    /// The directories that are its own.
    pub(crate) own: Vec<PathBuf>,
    /// What it shares with others, on the same disk.
    pub(crate) shared: Vec<PathBuf>,
    /// Who may hold what it removed.
    pub(crate) holders: Holders,
}

/// Why an execution may write no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// It takes up more than it may: so many bytes.
    Own(u64),
    /// The disk is nearly full.
    Disk,
}

/// A disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Disk {
    taken: u64,
    left: u64,
}

/// Waits until an execution takes up more than `most` bytes, or its disk is nearly full.
pub(crate) async fn overfull(taking: Taking, most: u64) -> Full {
    let disk = taking.own.first().cloned().unwrap_or_default();
    watch(taking, most, || look(&disk)).await
}

async fn watch(taking: Taking, most: u64, look: impl Fn() -> Option<Disk>) -> Full {
    let unknown = Disk { taken: 0, left: u64::MAX };
    let now = || look().unwrap_or(unknown);
    let (begun, mut taken_then, mut room) = (now().taken, 0, 0);
    let mut walk_at = Instant::now();
    // Who has only begun has removed nothing.
    let mut has_run = false;
    loop {
        let Disk { taken, left } = now();
        if taken.saturating_sub(taken_then) >= room || Instant::now() >= walk_at {
            let size = own_bytes(taking.clone(), has_run).await;
            if size > most {
                return Full::Own(size);
            }
            (room, taken_then) = (most - size, taken);
            has_run = true;
            walk_at = Instant::now() + WALK_PERIOD;
        }
        if taken.saturating_sub(begun) > most && !taking.shared.is_empty() {
            let size = bytes_below(taking.shared.clone()).await;
            if size > most {
                return Full::Own(size);
            }
        }
        if left < LEFT_BYTES_MIN && taken > begun {
            return Full::Disk;
        }
        tokio::time::sleep(LOOK_PERIOD).await;
    }
}

/// What lies in its own directories, and where that is asked for what it removed and holds.
async fn own_bytes(taking: Taking, with_held: bool) -> u64 {
    let counting = tokio::task::spawn_blocking(move || {
        let disk = taking.own.first().filter(|_| with_held);
        let held = disk.map_or(0, |disk| taking.holders.bytes(disk));
        size::below(&taking.own).saturating_add(held)
    });
    counting.await.unwrap_or(0)
}

async fn bytes_below(directories: Vec<PathBuf>) -> u64 {
    tokio::task::spawn_blocking(move || size::below(&directories)).await.unwrap_or(0)
}

/// The file system that a directory lies on.
fn look(directory: &Path) -> Option<Disk> {
    let disk = statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
    let taken = bytes(disk.blocks().saturating_sub(disk.blocks_free()));
    Some(Disk { taken, left: bytes(disk.blocks_available()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn own(directory: &Path) -> Taking {
        let holders = Holders::Anybody(directory.to_owned());
        Taking { own: vec![directory.to_owned()], shared: Vec::new(), holders }
    }

    async fn in_time(watch: impl Future<Output = Full>) -> Full {
        tokio::time::timeout(Duration::from_secs(20), watch).await.expect("in time")
    }

    #[tokio::test]
    async fn what_grows_too_large_below_a_directory_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let deep = directory.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("directories");
        let watch = tokio::spawn(overfull(own(directory.path()), 1 << 20));
        std::fs::write(deep.join("file"), vec![1; 2 << 20]).expect("a file");
        let full = in_time(async { watch.await.expect("an end") }).await;
        assert!(matches!(full, Full::Own(size) if size >= 2 << 20), "{full:?}");
    }

    #[tokio::test]
    async fn what_is_removed_and_held_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().canonicalize().expect("a path");
        let (looks, held) = (Cell::new(0), Cell::new(None));
        let grown = || {
            looks.set(looks.get() + 1);
            // After it was told at the beginning, and walked once.
            if looks.get() == 3 {
                std::fs::write(path.join("file"), vec![1; 2 << 20]).expect("a file");
                held.set(Some(std::fs::File::open(path.join("file")).expect("a file")));
                std::fs::remove_file(path.join("file")).expect("removed");
            }
            Some(Disk { taken: looks.get() << 20, left: u64::MAX })
        };
        let full = in_time(watch(own(&path), 1 << 20, grown)).await;
        assert!(matches!(full, Full::Own(size) if size >= 2 << 20), "{full:?}");
        assert_eq!(looks.get(), 3, "at the first look after it grew");
    }

    /// No test fills a disk, so what this one says of itself is made up.
    #[tokio::test]
    async fn who_writes_to_a_disk_that_is_nearly_full_is_stopped_however_it_hides() {
        let directory = tempfile::tempdir().expect("a directory");
        let looks = Cell::new(0);
        let fuller = || {
            looks.set(looks.get() + 1);
            Some(Disk { taken: looks.get(), left: LEFT_BYTES_MIN + 3 - looks.get() })
        };
        assert_eq!(in_time(watch(own(directory.path()), 1 << 40, fuller)).await, Full::Disk);
        assert_eq!(looks.get(), 4, "before it was nearly full");
    }

    #[tokio::test(start_paused = true)]
    async fn who_writes_nothing_may_go_on_where_the_disk_is_nearly_full() {
        let directory = tempfile::tempdir().expect("a directory");
        let full = || Some(Disk { taken: 7, left: 0 });
        let watching = watch(own(directory.path()), 1 << 40, full);
        tokio::time::timeout(Duration::from_secs(60), watching).await.expect_err("it was stopped");
    }
}

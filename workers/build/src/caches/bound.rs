//! Lets go what a cache holds beyond its bounds.
//!
//! Steps wrote it, and the worker that looks through it is in no sandbox: nothing here goes through a
//! link that one of them left.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use maestro_kit::directory::{DEPTH_MAX, Directory};

/// A file of a cache, with when it was last used, in seconds since 1970.
struct Kept {
    used_s: i64,
    bytes: u64,
    path: PathBuf,
}

/// Removes the files of a directory that were used the longest ago, until it is within so many bytes
/// and files.
pub(super) fn keep_within(directory: &Path, (bytes_max, files_max): (u64, usize)) {
    let Ok(root) = Directory::open(directory) else {
        tracing::warn!(path = %directory.display(), "a cache is no directory any more");
        return;
    };
    let is_within = |kept: &[Kept]| {
        let bytes: u64 = kept.iter().map(|kept| kept.bytes).sum();
        bytes <= bytes_max && kept.len() <= files_max
    };
    if is_within(&files(&root)) {
        return;
    }
    remove_unpacked(&root);
    let mut kept = files(&root);
    if is_within(&kept) {
        return;
    }
    let mut bytes: u64 = kept.iter().map(|kept| kept.bytes).sum();
    let mut files = kept.len();
    kept.sort_unstable_by(|one, other| (one.used_s, &one.path).cmp(&(other.used_s, &other.path)));
    // A quarter of room, so that not every step has to look for it.
    let (bytes_max, files_max) = (bytes_max / 4 * 3, files_max / 4 * 3);
    for one in kept {
        if bytes <= bytes_max && files <= files_max {
            break;
        }
        let (Some(parent), Some(name)) = (one.path.parent(), one.path.file_name()) else {
            continue;
        };
        if root.walk(parent).and_then(|parent| parent.remove(name)).is_ok() {
            bytes = bytes.saturating_sub(one.bytes);
            files = files.saturating_sub(1);
        }
    }
}

/// What package managers unpacked and unpack again where it is gone as a whole, but take for whole
/// where only a file of it is missing.
fn remove_unpacked(root: &Directory) {
    for (folder, name) in [("cargo/registry", "src"), ("cargo/git", "checkouts")] {
        if let Ok(folder) = root.walk(Path::new(folder)) {
            remove(&folder, name.as_ref());
        }
    }
    let Ok(modules) = root.walk(Path::new("go-mod")) else { return };
    for entry in modules.entries().unwrap_or_default() {
        if entry.name != "cache" {
            remove(&modules, &entry.name);
        }
    }
}

fn remove(folder: &Directory, name: &OsStr) {
    if let Err(error) = folder.remove(name)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a part of a cache cannot be let go");
    }
}

/// All files below a directory; links are files and are not followed.
fn files(root: &Directory) -> Vec<Kept> {
    let mut kept = Vec::new();
    gather(root, Path::new(""), 0, &mut kept);
    kept
}

fn gather(directory: &Directory, path: &Path, depth: usize, kept: &mut Vec<Kept>) {
    for entry in directory.entries().unwrap_or_default() {
        let path = path.join(&entry.name);
        if !entry.is_directory {
            kept.push(Kept { used_s: entry.used_s, bytes: entry.bytes, path });
        } else if depth >= DEPTH_MAX {
            // What is not looked through would be in no bounds.
            tracing::warn!("a part of a cache is nested more than {DEPTH_MAX} deep, and is let go");
            remove(directory, &entry.name);
        } else if let Ok(inner) = directory.below(&entry.name) {
            gather(&inner, &path, depth + 1, kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::{Duration, SystemTime};

    /// Writes a file that takes up blocks, with directories; how many bytes those are.
    fn write(path: &Path) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        let mut file = File::create(path).expect("a file");
        file.write_all(&[7; 64 << 10]).and_then(|()| file.sync_all()).expect("bytes");
        let bytes = file.metadata().expect("a file").blocks() * 512;
        assert!(bytes > 0);
        bytes
    }

    fn left(root: &Path) -> Vec<String> {
        let kept = files(&Directory::open(root).expect("a directory"));
        let mut names: Vec<_> = kept
            .iter()
            .filter_map(|kept| kept.path.file_name()?.to_str().map(str::to_owned))
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_was_not_used_for_the_longest_goes_first() {
        let root = tempfile::tempdir().expect("a directory");
        let mut one = 0;
        for (age, name) in [(10, "deep/old"), (5, "deep/middle"), (0, "young")] {
            let path = root.path().join(name);
            one = write(&path);
            let when = SystemTime::now() - Duration::from_secs(age * 3600);
            let times = std::fs::FileTimes::new().set_accessed(when).set_modified(when);
            let file = File::options().write(true).open(&path).expect("a file");
            file.set_times(times).expect("times");
        }
        keep_within(root.path(), (3 * one, 10));
        assert_eq!(left(root.path()), ["middle", "old", "young"]);
        keep_within(root.path(), (3 * one - one / 5, 10));
        assert_eq!(left(root.path()), ["middle", "young"]);
        keep_within(root.path(), (10 * one, 1));
        assert!(left(root.path()).is_empty());
    }

    #[test]
    fn what_is_unpacked_goes_as_a_whole_before_any_file() {
        let root = tempfile::tempdir().expect("a directory");
        let mut one = 0;
        for name in [
            "cargo/registry/src/h/c-1/lib.rs",
            "cargo/registry/cache/h/c-1.crate",
            "cargo/git/checkouts/h/lib.rs",
            "go-mod/host/m@v1/m.go",
            "go-mod/cache/download/m.zip",
        ] {
            one = write(&root.path().join(name));
        }
        let locked = root.path().join("go-mod/host/m@v1");
        std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).expect("a mode");
        keep_within(root.path(), (2 * one, 10));
        assert_eq!(left(root.path()), ["c-1.crate", "m.zip"]);
        assert!(!root.path().join("cargo/registry/src").exists());
    }

    #[test]
    fn nothing_goes_or_changes_behind_a_link_that_a_step_left_at_any_level() {
        for link in [
            "go-mod",
            "go-mod/host",
            "go-mod/host/m",
            "cargo",
            "cargo/registry",
            "cargo/registry/src",
            "cargo/registry/src/h",
            "cargo/git",
            "cargo/git/checkouts",
            "other",
            "other/deep",
            "",
        ] {
            let other = tempfile::tempdir().expect("a directory");
            let below =
                ["host/m.go", "m.go", "registry/src/h/lib.rs", "src/h/lib.rs", "checkouts/x"];
            for path in below {
                write(&other.path().join(path));
            }
            let mode = std::fs::Permissions::from_mode(0o500);
            std::fs::set_permissions(other.path(), mode).expect("a mode");
            let root = tempfile::tempdir().expect("a directory");
            let cache = root.path().join("cache");
            if !link.is_empty() {
                write(&cache.join("own"));
            }
            let place = if link.is_empty() { cache.clone() } else { cache.join(link) };
            std::fs::create_dir_all(place.parent().expect("a parent")).expect("a directory");
            symlink(other.path(), &place).expect("a link");

            keep_within(&cache, (0, 0));
            for path in below {
                assert!(other.path().join(path).exists(), "{path} is gone through {link:?}");
            }
            let meta = std::fs::metadata(other.path()).expect("a directory");
            assert_eq!(meta.permissions().mode() & 0o777, 0o500, "through {link:?}");
            assert!(link.is_empty() || left(&cache).is_empty(), "{:?}", left(&cache));
        }
    }

    #[test]
    fn a_sparse_file_empties_no_cache() {
        let root = tempfile::tempdir().expect("a directory");
        let one = write(&root.path().join("file"));
        let sparse = File::create(root.path().join("sparse")).expect("a file");
        sparse.set_len(1 << 40).expect("a length");
        keep_within(root.path(), (2 * one, 10));
        assert_eq!(left(root.path()), ["file", "sparse"]);
    }

    #[test]
    fn what_is_nested_too_deeply_to_be_counted_is_let_go() {
        let root = tempfile::tempdir().expect("a directory");
        let deep = |levels: usize| {
            let path: PathBuf = std::iter::repeat_n("d", levels).collect();
            root.path().join(path)
        };
        let one = write(&deep(DEPTH_MAX).join("counted"));
        write(&deep(DEPTH_MAX + 1).join("hidden"));
        keep_within(root.path(), (10 * one, 10));
        assert_eq!(left(root.path()), ["counted"]);
        assert!(!deep(DEPTH_MAX + 1).exists());
    }
}

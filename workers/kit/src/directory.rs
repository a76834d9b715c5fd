//! Directories that are held open: what is in them is reached through them, and never through a link.
//!
//! For trees that steps wrote, and whose paths they may have made to lead elsewhere. Called by whoever
//! looks through them or removes them once no step runs in them any more.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// The deepest nesting that should be looked through: each level is a file held open.
pub const DEPTH_MAX: usize = 128;

/// How often what was lifted from too deep in a tree is removed.
const PASSES_MAX: usize = 1_000;

/// A directory that is held open.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// What lies in a directory.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Whether it is a directory; a link to one is none.
    pub is_directory: bool,
    /// The bytes that are set aside for it, which of a sparse file are less than its length.
    pub bytes: u64,
    /// When it was last read or written, in seconds since 1970.
    pub used_s: i64,
}

impl Directory {
    /// Opens the directory at a path, which is to be trusted but for its last part.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_at(rustix::fs::CWD, path.as_os_str())
    }

    /// Opens a directory that lies in this one, and is no link; where its mode forbids that, the mode
    /// is changed.
    pub fn below(&self, name: &OsStr) -> io::Result<Self> {
        let is_plain = !name.is_empty() && name != "." && name != "..";
        if !is_plain || name.as_bytes().contains(&b'/') {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        match Self::open_at(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let found = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
                // No other call changes the mode of a directory that may not be read, and of no link.
                let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
                rustix::fs::chmod(itself, Mode::RWXU)?;
                Self::open_at(&self.0, name)
            }
            opened => opened,
        }
    }

    /// Opens a directory below this one; no part of its path is a link.
    pub fn walk(&self, path: &Path) -> io::Result<Self> {
        let mut found = Self(self.0.try_clone()?);
        for part in path {
            found = found.below(part)?;
        }
        Ok(found)
    }

    /// What lies in it.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in Dir::read_from(&self.0)? {
            let found = found?;
            let name = OsStr::from_bytes(found.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            // It may be gone by now.
            let Ok(stat) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            entries.push(Entry {
                name: name.to_owned(),
                is_directory: FileType::from_raw_mode(stat.st_mode).is_dir(),
                bytes: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
                used_s: stat.st_atime.max(stat.st_mtime),
            });
        }
        Ok(entries)
    }

    /// Removes what has this name, with all that is in it, also where modes forbid that. Of a link only
    /// the link goes.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match self.remove_tree(name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.unlock()?;
                self.remove_tree(name)
            }
            removed => removed,
        }
    }

    fn remove_tree(&self, name: &OsStr) -> io::Result<()> {
        let stat = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if !FileType::from_raw_mode(stat.st_mode).is_dir() {
            return Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?);
        }
        let top = self.below(name)?;
        top.unlock()?;
        let mut lifted = 0;
        for _ in 0..PASSES_MAX {
            let entries = top.entries()?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                top.remove_entry(&entry, 1, (&top, &mut lifted))?;
            }
        }
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// What is too deep to be removed from here is lifted to the top, for the next pass.
    fn remove_entry(
        &self,
        entry: &Entry,
        depth: usize,
        (top, lifted): (&Self, &mut u32),
    ) -> io::Result<()> {
        if !entry.is_directory {
            return Ok(rustix::fs::unlinkat(&self.0, &entry.name, AtFlags::empty())?);
        }
        let directory = self.below(&entry.name)?;
        directory.unlock()?;
        if depth >= DEPTH_MAX {
            return self.lift(&entry.name, top, lifted);
        }
        for inner in directory.entries()? {
            directory.remove_entry(&inner, depth + 1, (top, &mut *lifted))?;
        }
        Ok(rustix::fs::unlinkat(&self.0, &entry.name, AtFlags::REMOVEDIR)?)
    }

    /// Moves a directory to the top, under a name that is free there.
    fn lift(&self, name: &OsStr, top: &Self, lifted: &mut u32) -> io::Result<()> {
        loop {
            *lifted = lifted.checked_add(1).ok_or(Errno::MLINK)?;
            match rustix::fs::renameat(&self.0, name, &top.0, format!("lifted-{lifted}")) {
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                moved => return Ok(moved?),
            }
        }
    }

    fn unlock(&self) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.0, Mode::RWXU)
    }

    fn open_at(from: impl std::os::fd::AsFd, name: &OsStr) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(from, name, flags, Mode::empty())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_tree_goes_whatever_its_modes_are_and_of_a_link_only_the_link() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(other.path().join("file"), "x").unwrap();
        std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
        let tree = root.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/b/file"), "x").unwrap();
        symlink(other.path(), tree.join("a/link")).unwrap();
        for (path, mode) in [("a/b", 0o000), ("a", 0o500), ("", 0o500)] {
            std::fs::set_permissions(tree.join(path), std::fs::Permissions::from_mode(mode))
                .unwrap();
        }
        let held = Directory::open(root.path()).unwrap();
        held.remove("tree".as_ref()).unwrap();
        assert!(held.entries().unwrap().is_empty());
        symlink(other.path(), root.path().join("tree")).unwrap();
        held.remove("tree".as_ref()).unwrap();
        assert!(held.entries().unwrap().is_empty());
        assert!(other.path().join("file").exists());
        assert_eq!(mode(other.path()), 0o500);
    }

    #[test]
    fn no_part_of_a_path_is_a_link_or_leads_out() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::create_dir_all(other.path().join("b")).unwrap();
        symlink(other.path(), root.path().join("link")).unwrap();
        symlink(other.path(), root.path().join("a/link")).unwrap();
        let held = Directory::open(root.path()).unwrap();
        held.walk(Path::new("a/b")).unwrap();
        for path in ["link", "link/b", "a/link", "a/link/b", "..", "a/..", "/", "a/b/c"] {
            held.walk(Path::new(path)).expect_err(path);
        }
        Directory::open(&root.path().join("link")).expect_err("a link");
    }

    #[test]
    fn a_sparse_file_counts_for_what_it_takes_up() {
        let root = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(root.path().join("sparse")).unwrap();
        file.set_len(1 << 30).unwrap();
        let entries = Directory::open(root.path()).unwrap().entries().unwrap();
        assert!(entries[0].bytes < 1 << 20, "{entries:?}");
    }

    #[test]
    fn a_tree_goes_however_deep_it_is_nested_and_whatever_its_names_are() {
        let root = tempfile::tempdir().unwrap();
        let held = Directory::open(root.path()).unwrap();
        let flags = (OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
        // Deeper than a path may be long.
        let mut at = rustix::fs::openat(&held.0, ".", flags.0, flags.1).unwrap();
        for level in 0..5_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            let inner = rustix::fs::openat(&at, "d", flags.0, flags.1).unwrap();
            if level % 100 == 0 {
                rustix::fs::mkdirat(&inner, "other", Mode::RWXU).unwrap();
                rustix::fs::fchmod(&at, Mode::RUSR | Mode::XUSR).unwrap();
            }
            at = inner;
        }
        for (number, has_more) in [(1, false), (2, true)] {
            let taken = root.path().join(format!("d/lifted-{number}"));
            match has_more {
                true => std::fs::create_dir_all(taken.join("x")).unwrap(),
                false => std::fs::write(taken, "x").unwrap(),
            }
        }
        held.remove("d".as_ref()).unwrap();
        assert!(held.entries().unwrap().is_empty());
    }
}

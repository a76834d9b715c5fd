//! Directories that are held open: what is in them is reached through them, and never through a link.
//!
//! For trees that steps wrote, and whose paths they may have made to lead elsewhere. Called by whoever
//! looks through them or removes them once no step runs in them any more.

use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::{ControlFlow, Deref};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// The deepest nesting that should be looked through: each level is a file held open.
pub const DEPTH_MAX: usize = 128;

/// How often what was lifted from too deep in a tree is removed.
const PASSES_MAX: usize = 1_000;

/// A directory that is held open.
#[derive(Debug)]
pub struct Directory(OwnedFd);

/// A directory that is looked into while it is in use.
#[derive(Debug)]
pub struct Peeked {
    directory: Directory,
    former: Option<Mode>,
}

impl Deref for Peeked {
    type Target = Directory;

    fn deref(&self) -> &Directory {
        &self.directory
    }
}

impl Drop for Peeked {
    fn drop(&mut self) {
        if let Some(former) = self.former {
            // Whoever removed it meanwhile has no use for its mode.
            let _ = rustix::fs::fchmod(&self.directory.0, former);
        }
    }
}

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
        Ok(self.opened(name)?.0)
    }

    /// The same for a directory that is in use: where its mode hides what lies in it, that is changed, and
    /// put back once the directory is let go.
    pub fn peek(&self, name: &OsStr) -> io::Result<Peeked> {
        let (directory, mut former) = self.opened(name)?;
        let wanted = Access::READ_OK | Access::EXEC_OK;
        let may = rustix::fs::accessat(&directory.0, ".", wanted, AtFlags::EACCESS);
        if former.is_none() && may == Err(Errno::ACCESS) {
            former = Some(Mode::from_raw_mode(rustix::fs::fstat(&directory.0)?.st_mode));
            directory.unlock()?;
        }
        Ok(Peeked { directory, former })
    }

    /// The same of a path, of which all but the last part is to be trusted.
    pub fn peek_at(path: &Path) -> io::Result<Peeked> {
        let parts = path.parent().zip(path.file_name());
        let (parent, name) = parts.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Self::open(parent)?.peek(name)
    }

    /// A directory in this one, and the mode that it had where that was changed.
    fn opened(&self, name: &OsStr) -> io::Result<(Self, Option<Mode>)> {
        let is_plain = !name.is_empty() && name != "." && name != "..";
        if !is_plain || name.as_bytes().contains(&b'/') {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        match Self::open_at(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let found = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
                let former = Mode::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
                // No other call changes the mode of a directory that may not be read, and of no link.
                let itself = format!("/proc/self/fd/{}", found.as_raw_fd());
                rustix::fs::chmod(itself, Mode::RWXU)?;
                Ok((Self::open_at(&self.0, name)?, Some(former)))
            }
            opened => Ok((opened?, None)),
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
        self.each(|entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// Shows what lies in it, one by one, until that breaks off.
    pub fn each(&self, mut show: impl FnMut(Entry) -> ControlFlow<()>) -> io::Result<()> {
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
            let shown = show(Entry {
                name: name.to_owned(),
                is_directory: FileType::from_raw_mode(stat.st_mode).is_dir(),
                bytes: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
                used_s: stat.st_atime.max(stat.st_mtime),
            });
            if shown.is_break() {
                break;
            }
        }
        Ok(())
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
mod tests;

//! How much lies below directories that a step writes to meanwhile: reached through directories that are
//! held open, so that it counts however long its path is and whatever its modes are.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;

use maestro_kit::directory::{DEPTH_MAX, Directory, Peeked};

/// The most entries that one count looks at; a tree of more is taken to be too large.
const ENTRIES_MAX: usize = 10_000_000;

/// The most bytes of paths that wait to be looked at; a tree that needs more is taken to be too large.
const PATHS_BYTES_MAX: usize = 64 << 20;

/// Bytes that directories take up on their disk; a file of several names counts for each.
pub(super) fn below(directories: &[PathBuf]) -> u64 {
    let mut count = Count { bytes: 0, entries_left: ENTRIES_MAX };
    for directory in directories {
        // What is removed meanwhile takes up nothing.
        let Ok(root) = Directory::peek_at(directory) else { continue };
        if count.tree(&root).is_break() {
            return u64::MAX;
        }
    }
    count.bytes
}

struct Count {
    bytes: u64,
    entries_left: usize,
}

/// Directories too deep to be reached from where the count began, each by its names from there.
#[derive(Default)]
struct Waiting {
    paths: Vec<Vec<OsString>>,
    bytes: usize,
}

impl Count {
    /// Breaks off where there is too much to be counted.
    fn tree(&mut self, root: &Directory) -> ControlFlow<()> {
        let mut waiting = Waiting::default();
        self.visit(root, &mut Vec::new(), (0, &mut waiting))?;
        while let Some(mut names) = waiting.paths.pop() {
            waiting.bytes -= bytes_of(&names);
            self.pass(names.len())?;
            if let Some(directory) = reach(root, &names) {
                self.visit(&directory, &mut names, (0, &mut waiting))?;
            }
        }
        ControlFlow::Continue(())
    }

    fn visit(
        &mut self,
        directory: &Directory,
        names: &mut Vec<OsString>,
        (depth, waiting): (usize, &mut Waiting),
    ) -> ControlFlow<()> {
        let mut inner = Vec::new();
        let mut flow = ControlFlow::Continue(());
        let shown = directory.each(|entry| {
            self.bytes = self.bytes.saturating_add(entry.bytes);
            if entry.is_directory {
                inner.push(entry.name);
            }
            flow = self.pass(1);
            flow
        });
        // One that cannot be read any more is gone.
        let (Ok(()), ControlFlow::Continue(())) = (shown, flow) else { return flow };
        for name in inner {
            names.push(name);
            if depth + 1 >= DEPTH_MAX {
                waiting.add(names)?;
            } else if let Some(found) = names.last().and_then(|name| directory.peek(name).ok()) {
                self.visit(&found, names, (depth + 1, &mut *waiting))?;
            }
            names.pop();
        }
        ControlFlow::Continue(())
    }

    fn pass(&mut self, entries: usize) -> ControlFlow<()> {
        match self.entries_left.checked_sub(entries) {
            Some(left) => {
                self.entries_left = left;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    }
}

impl Waiting {
    fn add(&mut self, names: &[OsString]) -> ControlFlow<()> {
        self.bytes += bytes_of(names);
        if self.bytes > PATHS_BYTES_MAX {
            return ControlFlow::Break(());
        }
        self.paths.push(names.to_vec());
        ControlFlow::Continue(())
    }
}

/// What names take up in memory.
fn bytes_of(names: &[OsString]) -> usize {
    names.iter().map(|name| name.len() + size_of::<OsString>()).sum()
}

fn reach(root: &Directory, names: &[OsString]) -> Option<Peeked> {
    let mut found: Option<Peeked> = None;
    for name in names {
        found = Some(found.as_deref().unwrap_or(root).peek(name).ok()?);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    #[test]
    fn a_file_counts_however_deep_it_lies() {
        let top = tempfile::tempdir().expect("a directory");
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
        let mut at = rustix::fs::open(top.path(), flags, rustix::fs::Mode::empty()).expect("open");
        // Its path is longer than any that the kernel takes.
        for _ in 0..300 {
            let name = "d".repeat(50);
            rustix::fs::mkdirat(&at, &name, rustix::fs::Mode::RWXU).expect("a directory");
            at = rustix::fs::openat(&at, &name, flags, rustix::fs::Mode::empty()).expect("open");
        }
        let write = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE;
        let file = rustix::fs::openat(&at, "file", write, rustix::fs::Mode::RUSR).expect("a file");
        rustix::io::write(&file, &vec![1; 1 << 20]).expect("written");
        let found = below(&[top.path().to_owned()]);
        assert!((1 << 20..4 << 20).contains(&found), "{found}");
        Directory::open(top.path().parent().expect("a parent"))
            .and_then(|parent| parent.remove(top.path().file_name().expect("a name")))
            .expect("removed");
    }

    #[test]
    fn a_file_counts_in_a_directory_that_may_not_be_read_and_whose_mode_stays() {
        let top = tempfile::tempdir().expect("a directory");
        let (root, closed) = (top.path().join("root"), top.path().join("root/closed"));
        std::fs::create_dir_all(&closed).expect("a directory");
        std::fs::write(closed.join("file"), vec![1; 1 << 20]).expect("a file");
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        let mode = |path: &Path| std::fs::metadata(path).expect("a mode").permissions().mode();
        for hiding in [0o000, 0o400, 0o100] {
            set(&closed, hiding);
            set(&root, hiding);
            let counted = below(std::slice::from_ref(&root));
            assert!(counted >= 1 << 20, "{hiding:o}: {counted}");
            assert_eq!(mode(&root) & 0o777, hiding);
            set(&root, 0o700);
            assert_eq!(mode(&closed) & 0o777, hiding);
        }
        set(&closed, 0o700);
    }
}

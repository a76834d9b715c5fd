//! Plain files, and nothing that only looks like one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use super::Error;

/// Opens a plain file and says how long it is; neither a link that was put in its place, nor a pipe.
pub(super) fn open(path: &Path) -> Result<(File, u64), Error> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)
        .map_err(Error::file("cannot read", path))?;
    let meta = file.metadata().map_err(Error::file("cannot look at", path))?;
    if !meta.is_file() {
        return Err(Error::untrue(path.display(), "it is no plain file"));
    }
    Ok((file, meta.len()))
}

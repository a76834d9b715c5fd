//! Where the socket lies. A socket's address holds 107 bytes, and a project may lie deeper.

use std::env;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;
use nix::unistd::geteuid;

use super::super::Error;
use super::super::paths::{Paths, make_dir};
use crate::env_vars;

const ADDRESS_MAX: usize = 107;

/// The socket of a directory's owner: in it, or, where that path is too long, under a short
/// name in a directory of ours for such things.
pub fn path(paths: &Paths) -> Result<PathBuf, Error> {
    let near = paths.up_socket();
    if near.as_os_str().len() <= ADDRESS_MAX {
        return Ok(near);
    }
    let name = Digest::of(paths.root().as_os_str().as_bytes()).to_hex();
    Ok(short_dir()?.join(format!("{name:.20}.sock")))
}

fn short_dir() -> Result<PathBuf, Error> {
    let runtime = env::var_os(env_vars::RUNTIME_DIR)
        .map(PathBuf::from)
        .filter(|dir| dir.is_dir() && dir.as_os_str().len() < 60);
    let dir = match runtime {
        Some(dir) => dir.join("maestro"),
        None => Path::new("/tmp").join(format!("maestro-{}", geteuid())),
    };
    if !dir.exists() {
        make_dir(&dir)?;
    }
    ours_alone(&dir)?;
    Ok(dir)
}

/// In a directory that all may write to, somebody else may have been there first.
fn ours_alone(dir: &Path) -> Result<(), Error> {
    let found = fs::symlink_metadata(dir).map_err(Error::file("read", dir))?;
    if found.is_dir()
        && found.uid() == geteuid().as_raw()
        && found.permissions().mode() & 0o077 == 0
    {
        return Ok(());
    }
    let reason =
        io::Error::new(io::ErrorKind::PermissionDenied, "it is not a directory of ours alone");
    Err(Error::file("use", dir)(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_directory_gets_a_short_address_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| Paths::of_project(&dir.path().join(name.repeat(60))).unwrap();
        let (one, two) = (of("a"), of("b"));
        let (at_one, at_two) = (path(&one).unwrap(), path(&two).unwrap());
        assert!(at_one.as_os_str().len() <= ADDRESS_MAX);
        assert_ne!(at_one, at_two);
        assert_eq!(at_one, path(&one).unwrap());
        let near = Paths::of_project(dir.path()).unwrap();
        assert_eq!(path(&near).unwrap(), near.up_socket());
    }

    #[test]
    fn a_directory_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(ours_alone(dir.path()).is_err());
    }
}

//! As whom Postgres runs. It refuses root, for whom there are two ways.
//!
//! The first is a user namespace in which we have another number: the files stay root's, so
//! that a data directory anywhere works. Where namespaces are forbidden, as in most containers,
//! a system user runs it, the data belongs to that user, and the one capability that it keeps
//! lets it pass directories that only root may enter. Neither may do more than we may.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::unistd::{User, geteuid};
use tokio::process::Command;
use tokio::time::timeout;

use super::Error;

const PROBE_LIMIT: Duration = Duration::from_secs(5);

/// A way to run Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAs {
    /// As ourselves: we are not root.
    Ourselves,
    /// In a user namespace that gives us these numbers.
    Namespace {
        /// A user that the system knows, because initdb looks its name up.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// As a system user that may pass closed directories.
    User {
        /// The user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
}

impl RunAs {
    /// The first way that works here.
    ///
    /// # Errors
    /// [`Error::Root`] when we are root and none does.
    pub async fn choose() -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let (uid, gid) = system_user()?;
        let ways = [Self::Namespace { uid, gid }, Self::User { uid, gid }];
        let mut said = Vec::new();
        for way in ways {
            match way.probe().await {
                Ok(()) => return Ok(way),
                Err(reason) => said.push(reason),
            }
        }
        Err(Error::Root { reason: said.join("; ") })
    }

    /// Words to put before a program, so that it runs this way.
    pub fn prefix(self) -> Vec<OsString> {
        let words = match self {
            Self::Ourselves => Vec::new(),
            Self::Namespace { uid, gid } => {
                let (user, group) = (format!("--map-user={uid}"), format!("--map-group={gid}"));
                vec!["unshare".to_owned(), "--user".to_owned(), user, group, "--".to_owned()]
            }
            Self::User { uid, gid } => setpriv(uid, gid),
        };
        words.into_iter().map(OsString::from).collect()
    }

    /// Gives a directory with all in it to whom the program will be, where it is another's.
    pub fn own(self, dir: &Path) -> Result<(), Error> {
        let (uid, gid) = match self {
            Self::Ourselves => return Ok(()),
            Self::Namespace { .. } => (0, 0),
            Self::User { uid, gid } => (uid, gid),
        };
        let owner = fs::symlink_metadata(dir).map_err(Error::file("read", dir))?.uid();
        if owner == uid { Ok(()) } else { chown_all(dir, uid, gid) }
    }

    async fn probe(self) -> Result<(), String> {
        let mut words = self.prefix().into_iter();
        let program = words.next().unwrap_or_else(|| "true".into());
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(words).arg("true").stdin(Stdio::null()).kill_on_drop(true);
        match timeout(PROBE_LIMIT, command.output()).await {
            Ok(Ok(output)) if output.status.success() => Ok(()),
            Ok(Ok(output)) => {
                Err(String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect())
            }
            Ok(Err(e)) => Err(format!("{name}: {e}")),
            Err(_) => Err(format!("{name} does not end")),
        }
    }
}

/// Postgres asks with access(2) whether it may run itself, and that forgets capabilities of a
/// user that is not root unless the last word is said.
fn setpriv(uid: u32, gid: u32) -> Vec<String> {
    let user = [format!("--reuid={uid}"), format!("--regid={gid}")];
    let rest = [
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
        "--securebits=+no_setuid_fixup",
        "--",
    ];
    std::iter::once("setpriv".to_owned()).chain(user).chain(rest.map(str::to_owned)).collect()
}

/// `postgres` where the system has it, else `nobody`.
fn system_user() -> Result<(u32, u32), Error> {
    let known =
        ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    known
        .filter(|user| !user.uid.is_root())
        .map(|user| (user.uid.as_raw(), user.gid.as_raw()))
        .ok_or_else(|| Error::Root {
            reason: "the system has neither a user postgres nor a user nobody".to_owned(),
        })
}

/// Links are changed themselves, not followed. A data directory is a few levels deep.
fn chown_all(path: &Path, uid: u32, gid: u32) -> Result<(), Error> {
    lchown(path, Some(uid), Some(gid)).map_err(Error::file("give away", path))?;
    if !fs::symlink_metadata(path).map_err(Error::file("read", path))?.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(Error::file("read", path))? {
        chown_all(&entry.map_err(Error::file("read", path))?.path(), uid, gid)?;
    }
    Ok(())
}

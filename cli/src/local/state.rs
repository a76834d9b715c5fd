//! What the owner of a stack tells others in the same directory: who it is and where it listens.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::Error;
use super::paths::{self, Paths};

/// The content of `state.json`. It holds no passwords; those are in the credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The owner's process.
    pub pid: u32,
    /// As `127.0.0.1:4222`.
    pub nats: String,
    /// nats-server's process.
    pub nats_pid: u32,
    /// As `127.0.0.1:5432`.
    pub postgres: String,
    /// The postmaster's process.
    pub postgres_pid: u32,
    /// The HTTP API, once it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl State {
    /// Replaces the file, whole or not at all.
    pub fn write(&self, paths: &Paths) -> Result<(), Error> {
        let path = paths.state();
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|source| Error::Content { path: path.clone(), source })?;
        paths::write_file(&path, &bytes)
    }

    /// What stands there; `None` when there is no file. The owner may be dead: only the lock says.
    pub fn read(paths: &Paths) -> Result<Option<Self>, Error> {
        let path = paths.state();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| Error::Content { path, source }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file("read", &path)(e)),
        }
    }

    /// Takes the file away, at the end of a stack.
    pub fn remove(paths: &Paths) -> Result<(), Error> {
        let path = paths.state();
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", &path)(e)),
            _ => Ok(()),
        }
    }
}

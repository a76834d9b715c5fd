//! Why the story cannot be told to its end.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// What went wrong that no part of Maestro says by itself.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Something that the story promises did not happen. The demo is a test, too.
    #[error("{what}: expected {expected}, found {found}")]
    Promise {
        /// What was looked at.
        what: &'static str,
        /// What should have been seen.
        expected: String,
        /// What was seen.
        found: String,
    },
    /// A program that fetches or unpacks failed.
    #[error("{what} failed; all it said is in {}, which ends with:\n{tail}", log.display())]
    Tool {
        /// What it was for.
        what: String,
        /// Where its output is.
        log: PathBuf,
        /// The last lines there.
        tail: String,
    },
    /// A part of the system ended by itself, or did not get ready in time.
    #[error("{name} {what}; its log {} ends with:\n{tail}", log.display())]
    Process {
        /// Its name.
        name: String,
        /// What it did, or did not.
        what: String,
        /// Where its output is.
        log: PathBuf,
        /// The last lines there.
        tail: String,
    },
    /// Something took longer than it may.
    #[error("{what} did not end within {limit:?}")]
    Slow {
        /// What it was.
        what: &'static str,
        /// How long it may take.
        limit: Duration,
    },
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        Self::service("tell the story to its end", broken)
    }
}

/// Holds the story to what it promises.
pub fn promise(
    kept: bool,
    what: &'static str,
    expected: &str,
    found: impl Into<String>,
) -> Result<(), Error> {
    if kept {
        return Ok(());
    }
    Err(Broken::Promise { what, expected: expected.to_owned(), found: found.into() }.into())
}

//! What can go wrong with bytes by digest.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is stored under the digest.
    #[error("object {0} is missing")]
    Missing(Digest),
    /// What was stored under the digest are other bytes; they have been removed.
    #[error("object {wanted} does not verify: the digest of its bytes is {found}")]
    Corrupt {
        /// What was asked for.
        wanted: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// There are more bytes than were allowed.
    #[error("the object is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The most bytes allowed.
        limit: u64,
    },
    /// There is no room left; may pass.
    #[error("no space left on the device while {doing}")]
    Full {
        /// What was being done.
        doing: String,
        /// What the storage said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The storage failed; may pass.
    #[error("{doing} failed")]
    Storage {
        /// What was being done.
        doing: String,
        /// What the storage said.
        source: object_store::Error,
    },
    /// A file outside the storage could not be read or written.
    #[error("{problem}: {}", path.display())]
    File {
        /// What could not be done.
        problem: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes to be stored could not be read from where they come.
    #[error("the bytes to be stored could not be read")]
    Source(#[source] io::Error),
    /// The address names a kind of storage that this build does not have.
    #[error(
        "{scheme}:// is no artifact storage of this build; expected a directory, file:// or s3://"
    )]
    Address {
        /// The address' first word.
        scheme: String,
    },
    /// A background thread ended without an answer: the process is shutting down.
    #[error("the process is shutting down")]
    ShuttingDown,
}

impl Error {
    pub(crate) fn storage(doing: impl Into<String>, source: object_store::Error) -> Self {
        let doing = doing.into();
        if is_full(&source) {
            let source = Box::new(source);
            Self::Full { doing, source }
        } else {
            Self::Storage { doing, source }
        }
    }

    pub(crate) fn file(problem: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::Full {
                doing: format!("writing {}", path.display()),
                source: Box::new(source),
            };
        }
        Self::File { problem, path: path.to_owned(), source }
    }

    /// The object that whoever made it has to make again, where that is what this says.
    pub fn lost(&self) -> Option<Digest> {
        match self {
            Self::Missing(digest) | Self::Corrupt { wanted: digest, .. } => Some(*digest),
            _ => None,
        }
    }

    /// Whether the same call may succeed later, with nothing else done.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Storage { .. } | Self::ShuttingDown)
    }
}

/// Whether no space, or no quota, was left, at any depth of the error.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = |kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.downcast_ref::<io::Error>().is_some_and(|error| full(error.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures_at_any_depth() {
        let full = object_store::Error::Generic {
            store: "test",
            source: Box::new(io::Error::from(ErrorKind::StorageFull)),
        };
        let other = object_store::Error::Generic {
            store: "test",
            source: Box::new(io::Error::from(ErrorKind::BrokenPipe)),
        };
        assert!(matches!(Error::storage("x", full), Error::Full { .. }));
        assert!(matches!(Error::storage("x", other), Error::Storage { .. }));
    }
}

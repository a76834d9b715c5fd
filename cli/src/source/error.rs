//! What can go wrong with the working directory.

use std::io;
use std::path::{Path, PathBuf};

/// Why the directory's files or its repository could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be listed.
    #[error("cannot list {}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// What the walk said.
        source: ignore::Error,
    },
    /// A file cannot be read.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name that no other machine could be told.
    #[error("{} has a name that is not UTF-8", path.display())]
    Name {
        /// The file.
        path: PathBuf,
    },
    /// More files than a snapshot may hold.
    #[error("{} holds more than {most} files", path.display())]
    Many {
        /// The directory.
        path: PathBuf,
        /// The most files.
        most: usize,
    },
    /// More bytes than a snapshot may hold.
    #[error("{} holds more than {most} bytes", path.display())]
    Large {
        /// The directory.
        path: PathBuf,
        /// The most bytes.
        most: u64,
    },
    /// Git is there and does not answer.
    #[error("git {command} in {} says: {said}", path.display())]
    Git {
        /// What it was asked.
        command: &'static str,
        /// Where.
        path: PathBuf,
        /// Its last line.
        said: String,
    },
    /// A file was written while the snapshot was sent.
    #[error("{} changed while it was being sent", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

impl Error {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Many { .. } | Self::Large { .. } => {
                "name what a run does not need (build outputs, packages) in .gitignore or .maestroignore"
            }
            Self::Name { .. } => "rename it, or name its directory in .gitignore or .maestroignore",
            Self::Git { said, .. } if said.contains("dubious ownership") => {
                "tell git that the directory is yours: git config --global --add safe.directory DIRECTORY"
            }
            Self::Changed { .. } => "run the command again when nothing writes there",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// For `map_err` on what touches a file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }
}

//! Why an image could not be made or taken.

use std::io;
use std::path::{Path, PathBuf};

/// Why an image could not be made or taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{doing} {}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something of a layout is not what it says, or is nothing that can be taken.
    #[error("{what}: {problem}")]
    Untrue {
        /// Which part, as `blob sha256:…`.
        what: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A name in a layer or for one leads elsewhere, or is no name.
    #[error("{place}: the name {name:?} is refused: {problem}")]
    Name {
        /// Where it stands.
        place: String,
        /// The name, cut to 120 characters.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than an image may have.
    #[error("{what} is larger than {limit} {unit}")]
    TooLarge {
        /// What.
        what: String,
        /// The most.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
}

impl Error {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    pub(super) fn untrue(what: impl ToString, problem: impl Into<String>) -> Self {
        Self::Untrue { what: what.to_string(), problem: problem.into() }
    }

    pub(super) fn name(place: impl ToString, name: &str, problem: &'static str) -> Self {
        let name = name.chars().take(120).collect();
        Self::Name { place: place.to_string(), name, problem }
    }

    pub(super) fn too_large(what: impl ToString, limit: u64, unit: &'static str) -> Self {
        Self::TooLarge { what: what.to_string(), limit, unit }
    }
}

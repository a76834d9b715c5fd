//! What can go wrong with a tool of the house, as distinct from what it finds.

use std::path::PathBuf;

/// Why a tool could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words after `cargo xtask` mean nothing.
    #[error("{0}")]
    Usage(&'static str),
    /// A file cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program that is asked cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// Its name.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program that is asked answered with an error.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name and first arguments.
        program: String,
        /// What it wrote to standard error.
        said: String,
    },
    /// JSON is not what was expected.
    #[error("{what} is not the JSON that was expected")]
    Json {
        /// Whose JSON.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A fixture's name begins with no kind of message.
    #[error("{name} is no kind of message that fixtures are kept of")]
    UnknownFixture {
        /// The fixture's name.
        name: String,
    },
    /// A message cannot be encoded.
    #[error("a fixture does not encode")]
    Fixture(#[from] maestro_schemas::codec::Error),
}

/// An error and all that caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

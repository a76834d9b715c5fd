//! Why an attempt failed, and what the engine is told of it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use maestro_kit::evidence::{sbom, store, tree};
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{Failure, FailureClass, Outcome};

use crate::container::Refusal;
use crate::process::Ended;

/// The longest message of a report, in bytes.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Why an attempt did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// What the author wrote cannot be carried out.
    #[error("{0}")]
    Parameters(String),
    /// A file or link of the workspace leads out of it.
    #[error("{what} {path:?} leads out of the workspace")]
    Outside { what: &'static str, path: String },
    /// Objects could not be read or stored.
    #[error("{doing}")]
    Store { doing: String, source: store::Error },
    /// A directory is not whole any more.
    #[error("a part of object {whole} is lost")]
    Lost { whole: Digest, source: Box<Error> },
    /// A directory could not be made from a tree, or a tree from a directory.
    #[error("{doing}")]
    Tree { doing: String, source: tree::Error },
    /// The worker's own files failed.
    #[error("{doing} {}", path.display())]
    Files { doing: &'static str, path: PathBuf, source: io::Error },
    /// There is no directory for the execution.
    #[error("cannot make a scratch directory")]
    Scratch(#[source] io::Error),
    /// The program could not be started.
    #[error("cannot start {program}")]
    Start { program: String, source: io::Error },
    /// This worker has no sandbox of the kind that the step asks for.
    #[error("MAE-7001: {0}; another worker may have it")]
    Isolation(String),
    /// The sandbox could not be made, and so the step was not begun.
    #[error("MAE-7002: the sandbox could not be made: {0}")]
    Sandbox(String),
    /// The step took up more disk than it may.
    #[error("MAE-7003: {command} filled its directories with {found} bytes; the most is {most}")]
    Overfull { command: String, found: u64, most: u64 },
    /// The step took up more memory than it may.
    #[error("MAE-7004: out of memory, of which the step has {most_mib} MiB; {command}: {ended}")]
    OutOfMemory { command: String, ended: Ended, most_mib: u64 },
    /// A background thread ended without an answer: the worker is shutting down.
    #[error("the worker is shutting down")]
    ShuttingDown,
    /// The commit could not be checked out.
    #[error("cannot check out {commit} of {url}: {problem}")]
    Checkout { url: String, commit: String, problem: String, permanent: bool },
    /// A repository's path is none that this worker reads.
    #[error(
        "MAE-7006: cannot check out {url}: expected a repository below a directory that the worker's \
         operator allows for checkouts (the operator names one with --checkout-root or \
         MAESTRO_CHECKOUT_ROOTS; or check out by https:// or ssh://)"
    )]
    PathRefused { url: String },
    /// A command ended badly.
    #[error("{command}: {ended}{}", if tail.is_empty() { String::new() } else { format!("\n{tail}") })]
    Command { command: String, ended: Ended, tail: String },
    /// A command ended badly, and there was no room on the worker's disk; or it was stopped before there
    /// was none for anybody.
    #[error("no space left on the worker's disk; {command}{}", ended.as_ref().map_or(" was stopped".to_owned(), |ended| format!(": {ended}")))]
    DiskFull { command: String, ended: Option<Ended> },
    /// What the step wrote to its output file is not in its form, or too much.
    #[error("$MAESTRO_OUTPUT {0}")]
    Output(String),
    /// An image was not built or not pushed.
    #[error(transparent)]
    Container(#[from] Refusal),
    /// Another step holds a cache for longer than anybody waits.
    #[error("MAE-7124: the cache {name} was not free within {} s", waited.as_secs())]
    CacheBusy { name: String, waited: std::time::Duration },
    /// A service was not there as long as its step.
    #[error("MAE-7125: the service {name} ended before its step: {ended}{}{}", taken.map(|port| format!("; another process has its port {port}")).unwrap_or_default(), if tail.is_empty() { String::new() } else { format!("\n{tail}") })]
    ServiceEnded { name: String, ended: Ended, taken: Option<u16>, tail: String },
    /// A service did not become ready in time.
    #[error("MAE-7126: the service {name} was not ready within {} s{}", waited.as_secs_f64(), if tail.is_empty() { String::new() } else { format!("\n{tail}") })]
    ServiceLate { name: String, waited: std::time::Duration, tail: String },
    /// A declared output is not there.
    #[error("output {role:?} is missing: the step left nothing at {path:?}")]
    MissingOutput { role: String, path: String },
    /// The step's packages could not be read.
    #[error("{} there is no SBOM of the step ({})", .0.code().as_str(), .0.hint())]
    Sbom(#[source] sbom::Error),
}

impl Error {
    pub(crate) fn files(doing: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Files { doing, path, source }
    }

    pub(crate) fn store(doing: impl Into<String>) -> impl FnOnce(store::Error) -> Self {
        move |source| Self::Store { doing: doing.into(), source }
    }

    pub(crate) fn tree(doing: impl Into<String>) -> impl FnOnce(tree::Error) -> Self {
        move |source| Self::Tree { doing: doing.into(), source }
    }

    /// What the report says.
    pub(crate) fn into_outcome(self) -> Outcome {
        if matches!(self, Self::Stopped) {
            return Outcome::Cancelled { artifacts: Vec::new() };
        }
        let mut failure = Failure::new(self.class(), self.message());
        failure.lost = self.lost();
        if let Self::Command { ended, .. }
        | Self::DiskFull { ended: Some(ended), .. }
        | Self::OutOfMemory { ended, .. } = &self
        {
            failure.exit_code = ended.exit_code();
            failure.signal = ended.signal();
        }
        Outcome::Failed { failure, artifacts: Vec::new() }
    }

    fn class(&self) -> FailureClass {
        let transient = match self {
            _ if self.lost().is_some() => return FailureClass::InputLost,
            Self::Lost { source, .. } => return source.class(),
            Self::Isolation(_) | Self::Sandbox(_) => true,
            Self::CacheBusy { .. } | Self::ServiceLate { .. } => true,
            Self::ServiceEnded { taken, .. } => taken.is_some(),
            Self::Stopped | Self::ShuttingDown | Self::Scratch(_) | Self::DiskFull { .. } => true,
            Self::Store { source, .. } => source.is_transient(),
            Self::Tree { source, .. } => source.is_transient(),
            Self::Files { source, .. } | Self::Start { source, .. } => may_pass(source.kind()),
            Self::Checkout { permanent, .. } => !permanent,
            Self::Container(refusal) => refusal.is_transient(),
            Self::Parameters(_)
            | Self::Outside { .. }
            | Self::PathRefused { .. }
            | Self::Command { .. }
            | Self::Overfull { .. }
            | Self::OutOfMemory { .. }
            | Self::Output(_)
            | Self::MissingOutput { .. }
            | Self::Sbom(_) => false,
        };
        if transient { FailureClass::Transient } else { FailureClass::Permanent }
    }

    /// Says of a lost object that it belongs to `whole`: what somebody made and can make again.
    pub(crate) fn within(self, whole: Digest) -> Self {
        match self.lost() {
            Some(_) => Self::Lost { whole, source: Box::new(self) },
            None => self,
        }
    }

    fn lost(&self) -> Option<Digest> {
        match self {
            Self::Lost { whole, .. } => Some(*whole),
            Self::Store { source, .. } => source.lost(),
            Self::Tree { source, .. } => source.lost(),
            _ => None,
        }
    }

    /// The error with its causes, on one line each level, cut at [`MESSAGE_BYTES_MAX`].
    fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message
    }
}

/// Whether the system may be better off later; what is missing or forbidden stays so.
fn may_pass(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ArgumentListTooLong
    )
}

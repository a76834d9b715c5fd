//! Why an attempt failed, and what the engine is told of it.

use maestro_kit::account;
use maestro_kit::evidence::{store, tree};
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{Failure, FailureClass, Outcome};

/// The most of a gateway's own words that is told, in bytes.
pub(crate) const WORDS_BYTES_MAX: usize = 1_000;

/// Why an attempt did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
    /// What the author wrote cannot be carried out.
    #[error("{0}")]
    Parameters(String),
    /// The prompt cannot be used.
    #[error("prompts/{name}.md: {problem}")]
    Prompt { name: String, problem: String },
    /// Objects could not be read or stored.
    #[error("{doing}")]
    Store { doing: &'static str, source: store::Error },
    /// The step's files could not be read.
    #[error("cannot read the step's files")]
    Tree { whole: Digest, source: Box<tree::Error> },
    /// There is nobody to call.
    #[error("the model gateway is not there: {0}")]
    NoGateway(String),
    /// The connection failed before or within the answer.
    #[error("the call of {model} broke off: {problem}")]
    Connection { model: String, problem: String },
    /// The answer ended before its end.
    #[error("the answer of {model} was cut: {problem}")]
    Cut { model: String, problem: String },
    /// The router did not say where the call may go.
    #[error("the router does not answer, so no model is asked: {0}")]
    NoRouter(String),
    /// What the call may cost could not be written down.
    #[error("no model is asked: {0}")]
    Account(#[from] account::Error),
    /// The router says that the call may go nowhere.
    #[error("{message}")]
    Routed { code: String, status: u16, message: String },
    /// Nothing came for too long.
    #[error("{model} said nothing for {seconds} s")]
    Silent { model: String, seconds: u64 },
    /// The gateway refused, in its words.
    #[error("{model} was refused with status {status}: {words}")]
    Refused { model: String, status: u16, words: String, retry_after_ms: Option<u64> },
    /// The answer is not in the protocol's form.
    #[error("the answer of {model} cannot be read: {problem}")]
    Unreadable { model: String, problem: String },
    /// No Ollama host can serve the model.
    #[error("no Ollama host serves {model}: {problem}")]
    NoHost { model: String, problem: String, class: FailureClass },
    /// The call could cost more than is left.
    #[error("{0}")]
    Cap(String),
    /// No answer fitted the schema.
    #[error("none of {calls} answers of {model} fits the schema; the last: {problem}")]
    Unfit { model: String, calls: u32, problem: String },
    /// A background thread ended without an answer: the worker is shutting down.
    #[error("the worker is shutting down")]
    ShuttingDown,
}

impl Error {
    pub(crate) fn store(doing: &'static str) -> impl FnOnce(store::Error) -> Self {
        move |source| Self::Store { doing, source }
    }

    /// What the report says.
    pub(crate) fn into_outcome(self) -> Outcome {
        if matches!(self, Self::Stopped) {
            return Outcome::Cancelled { artifacts: Vec::new() };
        }
        let mut failure = Failure::new(self.class(), self.message());
        failure.lost = self.lost();
        if let Self::Refused { retry_after_ms, .. } = &self {
            failure.retry_after_ms = *retry_after_ms;
        }
        Outcome::Failed { failure, artifacts: Vec::new() }
    }

    /// Whether the same may go well later.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.class(), FailureClass::Transient | FailureClass::Throttled)
    }

    fn class(&self) -> FailureClass {
        if self.lost().is_some() {
            return FailureClass::InputLost;
        }
        match self {
            Self::Store { source, .. } if source.is_transient() => FailureClass::Transient,
            Self::Tree { source, .. } if source.is_transient() => FailureClass::Transient,
            Self::Stopped
            | Self::ShuttingDown
            | Self::NoGateway(_)
            | Self::NoRouter(_)
            | Self::Account(_)
            | Self::Connection { .. }
            | Self::Cut { .. }
            | Self::Silent { .. }
            | Self::Unreadable { .. } => FailureClass::Transient,
            Self::Refused { status, .. } | Self::Routed { status, .. } => of_status(*status),
            Self::NoHost { class, .. } => *class,
            Self::Cap(_) => FailureClass::Denied,
            Self::Store { .. }
            | Self::Tree { .. }
            | Self::Parameters(_)
            | Self::Prompt { .. }
            | Self::Unfit { .. } => FailureClass::Permanent,
        }
    }

    fn lost(&self) -> Option<Digest> {
        match self {
            Self::Store { source, .. } => source.lost(),
            Self::Tree { whole, source } => source.lost().map(|_| *whole),
            _ => None,
        }
    }

    /// The error with its causes.
    fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        message
    }
}

/// What a status says of trying again: RFC 9110 section 15, and 408, 425 and 429 by their meaning.
fn of_status(status: u16) -> FailureClass {
    match status {
        429 => FailureClass::Throttled,
        401 | 403 => FailureClass::Denied,
        408 | 409 | 425 | 500..=599 => FailureClass::Transient,
        _ => FailureClass::Permanent,
    }
}

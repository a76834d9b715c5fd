//! Why a registry did not do what it was asked for.

use std::time::Duration;

use maestro_kit::evidence::image;

/// Why a registry did not do what it was asked for. No text of it holds a credential.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, or one that broke.
    #[error("{registry} cannot be reached: {problem}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What the network said.
        problem: String,
    },
    /// It wants other credentials, or forbids it to whom these are.
    #[error("{registry} refuses {doing}: {status}, {problem}")]
    Denied {
        /// The registry.
        registry: String,
        /// What was asked for.
        doing: String,
        /// 401 or 403.
        status: u16,
        /// What it said.
        problem: String,
    },
    /// It asks for less.
    #[error("{registry} asks for fewer requests, at {doing}")]
    Throttled {
        /// The registry.
        registry: String,
        /// What was asked for.
        doing: String,
        /// For how long it wants to be left alone.
        after: Option<Duration>,
    },
    /// It answered something else than the specification has.
    #[error("{registry} answered {doing} with {status}: {problem}")]
    Answer {
        /// The registry.
        registry: String,
        /// What was asked for.
        doing: String,
        /// The HTTP status.
        status: u16,
        /// What it said, or what was expected.
        problem: String,
    },
    /// An address that nothing is sent to.
    #[error("{address} is refused: {problem}")]
    Insecure {
        /// The address, without what it asks for.
        address: String,
        /// Why, and what was expected.
        problem: &'static str,
    },
    /// What came or what is to be sent is not what it says.
    #[error("{registry}: {source}")]
    Untrue {
        /// The registry.
        registry: String,
        /// What is wrong.
        source: image::Error,
    },
    /// Others wrote the same list again and again meanwhile.
    #[error("{registry}: the list of what goes with {digest} was written by others {tries} times")]
    Raced {
        /// The registry.
        registry: String,
        /// The image.
        digest: String,
        /// How often.
        tries: u32,
    },
    /// The process has no TLS, or a background thread ended.
    #[error("cannot speak to registries: {problem}")]
    Unable {
        /// Why.
        problem: String,
    },
}

impl Error {
    /// Its code, with a page under `docs/errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "MAE-7034",
            Self::Insecure { .. } => "MAE-7036",
            Self::Untrue { .. } => "MAE-7037",
            Self::Unreachable { .. }
            | Self::Throttled { .. }
            | Self::Answer { .. }
            | Self::Raced { .. }
            | Self::Unable { .. } => "MAE-7035",
        }
    }

    /// What would help.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Denied { .. } => {
                "the worker's operator names a Docker config.json with credentials that may push \
                 there in MAESTRO_REGISTRY_AUTH"
            }
            Self::Insecure { .. } => "registries on other machines are spoken to by https only",
            Self::Untrue { .. } => "push the image again, or name another one",
            Self::Unable { .. } => "start the worker again",
            _ => "see whether the registry works and serves the distribution specification 1.1",
        }
    }

    /// Whether it wants other credentials.
    pub fn is_denial(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Throttled { .. } | Self::Raced { .. } => true,
            Self::Answer { status, .. } => matches!(status, 408 | 500..=599),
            Self::Unable { .. } => true,
            Self::Denied { .. } | Self::Insecure { .. } | Self::Untrue { .. } => false,
        }
    }
}

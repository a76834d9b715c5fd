//! How an attempt ended, as its worker saw it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::digest::Digest;

/// The most bytes that a report carries inline, outputs and message together; the rest goes by digest.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Named values that later steps can use.
pub type Outputs = BTreeMap<String, serde_json::Value>;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// It did what was asked.
    Succeeded {
        /// Named values, together at most [`INLINE_BYTES_MAX`] as JSON.
        #[serde(default)]
        outputs: Outputs,
        /// What it made, the log included.
        #[serde(default)]
        artifacts: Vec<Artifact>,
    },
    /// It did not; the engine decides whether to try again.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// What it made all the same, the log included.
        #[serde(default)]
        artifacts: Vec<Artifact>,
    },
    /// It was asked to stop, and did.
    Cancelled {
        /// What it made until then, the log included.
        #[serde(default)]
        artifacts: Vec<Artifact>,
    },
}

impl Outcome {
    /// A success that says nothing.
    pub fn succeeded() -> Self {
        Self::Succeeded { outputs: Outputs::new(), artifacts: Vec::new() }
    }

    /// A failure without artifacts.
    pub fn failed(class: FailureClass, message: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::new(class, message), artifacts: Vec::new() }
    }

    /// What it made.
    pub fn artifacts(&self) -> &[Artifact] {
        match self {
            Self::Succeeded { artifacts, .. }
            | Self::Failed { artifacts, .. }
            | Self::Cancelled { artifacts } => artifacts,
        }
    }
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What the engine may do about it.
    pub class: FailureClass,
    /// What happened, for people; at most 4 KiB are kept.
    pub message: String,
    /// The exit code, where a process ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal's number, where a signal ended the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// How long the other side asked to be left alone, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The object that is missing or does not verify, for [`FailureClass::InputLost`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Digest>,
}

impl Failure {
    /// A failure of `class` with a message and nothing else.
    pub fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            exit_code: None,
            signal: None,
            retry_after_ms: None,
            lost: None,
        }
    }
}

/// What the engine may do about a failure.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Likely to pass when tried again: a broken connection, a full disk.
    Transient,
    /// The other side asked for a pause.
    Throttled,
    /// Trying again brings the same: a failing test, a bad parameter.
    Permanent,
    /// Policy, permission or a cap forbids it.
    Denied,
    /// It ran longer than the step allows.
    TimedOut,
    /// An input's bytes are missing or do not verify.
    InputLost,
    /// No worker named it past its lapse time; said by the engine, never by a worker.
    Lapsed,
}

impl FailureClass {
    /// The text that stands in rows, messages and `retry.on`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Permanent => "permanent",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::InputLost => "input_lost",
            Self::Lapsed => "lapsed",
        }
    }
}

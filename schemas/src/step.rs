//! Where a step stands in its run, and which attempt of it is meant.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of a run in numbers: its node in the plan, its item in a fan-out, its visit.
///
/// `item` counts from 0 within a fan-out and is 0 where there is none; `visit` is 0 but where the node
/// is executed again because what it made is lost.
/// The text form, also a subject token, is `node-item-visit`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct StepAddress {
    /// The node's index in [`crate::plan::Plan::nodes`].
    pub node: u32,
    /// The item's index in the node's fan-out.
    #[serde(default)]
    pub item: u32,
    /// How often the node was executed again before.
    #[serde(default)]
    pub visit: u32,
}

impl StepAddress {
    /// The first visit of a node without a fan-out.
    pub const fn node(node: u32) -> Self {
        Self { node, item: 0, visit: 0 }
    }

    /// The first visit of one item of a node's fan-out.
    pub const fn item(node: u32, item: u32) -> Self {
        Self { node, item, visit: 0 }
    }
}

impl fmt::Display for StepAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.item, self.visit)
    }
}

/// Why a text is no step address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a step address; expected three numbers: node-item-visit")]
pub struct InvalidStepAddress {
    /// The text as it was given, cut to 64 characters.
    pub found: String,
}

impl FromStr for StepAddress {
    type Err = InvalidStepAddress;

    fn from_str(text: &str) -> Result<Self, InvalidStepAddress> {
        let mut parts = text.split('-').map(|part| part.parse().ok());
        match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next())
        {
            (Some(node), Some(item), Some(visit), None) => Ok(Self { node, item, visit }),
            _ => Err(InvalidStepAddress { found: text.chars().take(64).collect() }),
        }
    }
}

/// The fencing token of an attempt: its number, from 1, and the epoch of the owner that decided it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct AttemptToken {
    /// Which try of the step this is, from 1.
    pub number: u32,
    /// The epoch of the shard's owner that decided it.
    pub epoch: u64,
}

/// How a step ended, or where it stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not yet decided; something that it needs has not happened.
    Waiting,
    /// An attempt of it is queued or in a worker's hands.
    Live,
    /// The run is cancelled, and the attempt in a worker's hands has not ended yet.
    Cancelling,
    /// Ended well.
    Succeeded,
    /// Ended well without an attempt: its result was known by key.
    Cached,
    /// Ended badly; no retry is left.
    Failed,
    /// Its condition was false, or what it needs did not succeed.
    Skipped,
    /// The run was cancelled before it ended.
    Cancelled,
}

impl StepState {
    /// The text that stands in rows, messages and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live => "live",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Waiting,
            Self::Live,
            Self::Cancelling,
            Self::Succeeded,
            Self::Cached,
            Self::Failed,
            Self::Skipped,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// Whether nothing more will happen to the step.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Live | Self::Cancelling)
    }

    /// Whether what needs the step may go on.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cached)
    }
}

/// Where a run stands, or how it ended.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Steps are live or waiting.
    Running,
    /// Cancelled, and attempts in workers' hands have not ended yet.
    Cancelling,
    /// Every step that counts succeeded.
    Succeeded,
    /// A step failed, and no `allow_failure` covers it.
    Failed,
    /// Cancelled before it ended.
    Cancelled,
    /// Set aside because its state or a message of its could not be folded.
    Quarantined,
}

impl RunState {
    /// The text that stands in rows, messages and URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Cancelling,
            Self::Succeeded,
            Self::Failed,
            Self::Cancelled,
            Self::Quarantined,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// Whether nothing more will happen to the run.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Running | Self::Cancelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_and_a_fourth_number_is_refused() {
        let address = StepAddress { node: 3, item: 99_999, visit: 2 };
        assert_eq!(address.to_string().parse(), Ok(address));
        assert!("1-2-3-4".parse::<StepAddress>().is_err());
        assert!("1-2".parse::<StepAddress>().is_err());
    }
}

//! What happened, past tense: hints for consoles and CI. The truth is in the rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::name::ProjectName;
use crate::outcome::Failure;
use crate::step::{RunState, StepAddress, StepState};

/// What one commit changed of one project's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The tenant.
    pub project: ProjectName,
    /// What happened, in order.
    pub entries: Vec<Event>,
}

/// One thing that happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The run.
    pub run: RunId,
    /// The batch of the run's shard that committed it: what `Last-Event-ID` resumes from.
    pub batch: u64,
    /// When it was decided, in milliseconds since 1970 (the shard's clock).
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// The run changed its state.
    Run {
        /// The new state.
        state: RunState,
        /// Why, where there is a reason: the first failed step, the canceller's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// A step changed its state.
    Step {
        /// The step's numbers.
        address: StepAddress,
        /// The step's id, as `build/typescript` or `test/unit[3]`.
        step: String,
        /// The new state.
        state: StepState,
        /// The attempt that this is about; 0 where there is none.
        #[serde(default)]
        attempt: u32,
        /// What went wrong, where something did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// Until when the next attempt waits, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at_ms: Option<u64>,
    },
    /// An execution began in a worker's hands. Told by workers, not kept: it has no batch.
    Started {
        /// The step's numbers.
        address: StepAddress,
        /// The step's id.
        step: String,
        /// The attempt's number.
        attempt: u32,
        /// The worker's name.
        worker: String,
    },
}

//! What coordinators tell the workers of a pool over core NATS, all of it allowed to be lost.

use serde::{Deserialize, Serialize};

use crate::id::{RunId, WorkerId};
use crate::step::{AttemptToken, StepAddress};

/// Stop what you have of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The run.
    pub run: RunId,
    /// One attempt of it; absent means all.
    #[serde(default)]
    pub attempt: Option<(StepAddress, AttemptToken)>,
}

/// Take no more tasks and end when those that you have have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// One worker; absent means every worker of the pool.
    #[serde(default)]
    pub worker: Option<WorkerId>,
}

/// One numbered piece of an execution's output, for live tail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// From 0; a gap means that a piece was lost, and the artifact has it.
    pub number: u64,
    /// The byte of the whole log that this piece begins at.
    pub offset: u64,
    /// The bytes, standard output and error in the order of their arrival.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Whether nothing follows.
    pub last: bool,
}

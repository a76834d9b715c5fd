//! What a worker says of itself: on connect, on change, and periodically.

use serde::{Deserialize, Serialize};

use crate::action::ActionInfo;
use crate::id::{ExecutionId, RunId, WorkerId};
use crate::name::PoolName;
use crate::sandbox::Offered;
use crate::step::{AttemptToken, StepAddress};

/// How often a worker says that it lives, in milliseconds; it speaks at once when something changed.
pub const PERIOD_MS: u64 = 1_000;

/// A worker's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The process.
    pub worker: WorkerId,
    /// Its name for people, as `host-1234`.
    pub name: String,
    /// The pool; a process that serves several sends one for each.
    pub pool: PoolName,
    /// How many slots it has in all.
    pub slots: u32,
    /// Whether it takes no more tasks and ends when those that it has have ended.
    pub draining: bool,
    /// Whether this is its last word.
    #[serde(default)]
    pub leaving: bool,
    /// What it serves; present on connect and every 5 s.
    #[serde(default)]
    pub actions: Option<Vec<ActionInfo>>,
    /// What it keeps its steps in, where it starts programs for them.
    #[serde(default)]
    pub sandbox: Option<Offered>,
    /// What it has in hand.
    pub running: Vec<RunningExecution>,
}

/// An execution in a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningExecution {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The step's id for people, as the task bore it.
    pub name: String,
    /// The attempt.
    pub token: AttemptToken,
    /// The execution.
    pub execution: ExecutionId,
    /// For how long it has run, in milliseconds: durations travel, times do not.
    pub elapsed_ms: u64,
}

//! The message back: how an attempt ended.

use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, RunId, WorkerId};
use crate::name::PoolName;
use crate::outcome::Outcome;
use crate::step::{AttemptToken, StepAddress};

/// How one execution of an attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's token, as the task bore it.
    pub token: AttemptToken,
    /// The execution that reports.
    pub execution: ExecutionId,
    /// The worker that carried it out.
    pub worker: WorkerId,
    /// The worker's pool.
    pub pool: PoolName,
    /// How it ended.
    pub outcome: Outcome,
    /// What it took.
    #[serde(default)]
    pub usage: Usage,
}

/// What an execution took.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Usage {
    /// From the task's arrival to the report, in milliseconds.
    pub wall_ms: u64,
    /// Processor time of its processes, in milliseconds.
    #[serde(default)]
    pub cpu_ms: u64,
    /// What it spent, in millionths of a US dollar.
    #[serde(default)]
    pub cost_microusd: u64,
}

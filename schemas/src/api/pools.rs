//! `/v1/pools`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sandbox::Offered;

/// The pools that live workers serve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolList {
    /// One for each pool.
    pub pools: Vec<PoolView>,
}

/// A pool and its workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolView {
    /// The pool's name.
    pub name: String,
    /// Slots of all live workers.
    pub slots: u32,
    /// Executions in their hands.
    pub running: u32,
    /// Names of the actions that it serves.
    pub actions: Vec<String>,
    /// The live workers.
    pub workers: Vec<WorkerView>,
}

/// A live worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerView {
    /// The process.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Its slots.
    pub slots: u32,
    /// Whether it takes no more tasks.
    pub draining: bool,
    /// What it keeps its steps in, where it starts programs for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Offered>,
    /// What it has in hand.
    pub running: Vec<RunningView>,
}

/// An execution in a worker's hands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunningView {
    /// The run.
    pub run: String,
    /// The step's id.
    pub step: String,
    /// The attempt's number.
    pub attempt: u32,
    /// For how long, in milliseconds.
    pub elapsed_ms: u64,
}

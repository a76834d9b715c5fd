//! `/v1/projects/{project}/runs/{run}/steps` and `…/attempts`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::outcome::{Failure, Outputs};
use crate::step::{StepAddress, StepState};

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// `stage/name`, or `stage/name[item]`.
    pub id: String,
    /// Its numbers.
    pub address: StepAddress,
    /// The stage's name.
    pub stage: String,
    /// The action.
    pub action: String,
    /// The pool.
    pub pool: String,
    /// Where it stands.
    pub state: StepState,
    /// Ids of the steps that it needs.
    pub needs: Vec<String>,
    /// How many attempts have been decided.
    pub attempts: u32,
    /// The worker that has it in hand, as far as heartbeats tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Milliseconds since 1970 of the last attempt's decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Why it was skipped, or where its result came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Named values of the attempt that counts.
    #[serde(default)]
    pub outputs: Outputs,
    /// What the last attempt made, the log included.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// How many items it stands for, where it is a fan-out shown as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemCounts>,
}

/// How far a fan-out is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ItemCounts {
    /// How many items there are.
    pub total: u32,
    /// How many have ended.
    pub ended: u32,
    /// How many have failed.
    pub failed: u32,
    /// How many are live.
    pub live: u32,
}

/// The steps of a run, in the plan's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepPage {
    /// The steps.
    pub steps: Vec<StepView>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One attempt of a step that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// The step's id.
    pub step: String,
    /// The step's numbers.
    pub address: StepAddress,
    /// Which try it was, from 1.
    pub number: u32,
    /// `succeeded`, `failed` or `cancelled`.
    pub outcome: String,
    /// The worker that carried it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Milliseconds since 1970.
    pub decided_at_ms: u64,
    /// Milliseconds since 1970.
    pub ended_at_ms: u64,
    /// From the task's arrival at the worker to its report, in milliseconds.
    pub wall_ms: u64,
    /// What went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What it made, the log included.
    pub artifacts: Vec<Artifact>,
}

/// The attempts of a run, the first to be decided first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptPage {
    /// The attempts.
    pub attempts: Vec<AttemptView>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

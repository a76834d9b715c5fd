//! `/v1/projects/{project}/runs`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::id::RunId;
use crate::step::RunState;

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SubmitResponse {
    /// The run, old or new.
    pub run: RunId,
    /// Whether the run stands in the truth; false (with status 202) where that was not known in 5 s.
    pub committed: bool,
    /// Whether this very submission had been made before.
    pub repeated: bool,
}

/// A run as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run.
    pub id: RunId,
    /// The tenant.
    pub project: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Where it stands.
    pub state: RunState,
    /// The first thing that went wrong, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The plan.
    pub plan: Digest,
    /// What lists are filtered by.
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// Milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// How many steps there are, as far as is known; a fan-out counts its items.
    pub steps_total: u64,
    /// How many steps have ended.
    pub steps_ended: u64,
    /// How many steps have failed.
    pub steps_failed: u64,
    /// How many steps' results were taken from earlier runs.
    pub steps_cached: u64,
    /// The run that this one repeats in part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RunId>,
    /// What it spent, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// What its attempts took together, in milliseconds.
    pub work_ms: u64,
}

/// A page of runs, the youngest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A run with all that belongs to it as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// What lists show.
    #[serde(flatten)]
    pub summary: RunSummary,
    /// The inputs that it was planned for.
    pub inputs: BTreeMap<String, Value>,
    /// Its own outputs, once it has ended.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
    /// The batch of its shard that last changed it: what an event stream resumes from.
    pub batch: u64,
}

/// What a cancellation asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Why, for people; at most 1 KiB, without control characters.
    #[serde(default)]
    pub reason: String,
}

/// What a rerun asks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RerunRequest {
    /// Ids of steps that are executed again with all that needs them; `stage/name[item]` in a fan-out.
    #[serde(default)]
    pub from: Vec<String>,
    /// Execute again whatever failed, and all that needs it.
    #[serde(default)]
    pub failed: bool,
    /// The plan to run instead of the former one, where inputs were changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// Same key, same request: the same run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// Why each step of a run that waits is waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyReport {
    /// One entry for each waiting step, in the plan's order; a fan-out's unreleased items are one.
    pub waiting: Vec<Waiting>,
}

/// The one reason why a step waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The step's id.
    pub step: String,
    /// A stable word: `needs`, `retry`, `input`, `asking`, `pool`, `window`, `queued`.
    pub reason: String,
    /// The same in words, with names and numbers.
    pub detail: String,
}

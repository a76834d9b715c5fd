//! `/v1/projects/{project}/plans`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// The answer to a plan that was given to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanStored {
    /// What to submit.
    pub digest: Digest,
    /// For each step, in the plan's order, what a run of this plan would do now.
    pub steps: Vec<PlannedStep>,
}

/// What a run would do with a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// The step's id.
    pub id: String,
    /// The answer.
    pub answer: PlanAnswer,
    /// Why, in words: which input changed, or which step's output the key needs.
    pub why: String,
    /// Parts of the key that differ from the nearest earlier result, as `file:src/a.ts`.
    #[serde(default)]
    pub changed: Vec<String>,
    /// The key, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
}

/// The three answers of a plan, and a fourth for what these inputs leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanAnswer {
    /// The key is known and its result is there: not executed.
    Cached,
    /// Executed.
    Runs,
    /// Known once a step before it has run.
    Depends,
    /// Not executed: its condition is false for the plan's inputs.
    Skipped,
}

/// The catalogue of actions, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Catalogue {
    /// What is served or was.
    pub actions: BTreeMap<String, crate::action::ActionInfo>,
}

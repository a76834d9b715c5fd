//! `/v1/projects/{project}/runs/{run}/steps/{step}/why-cached`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RunId;

/// Why a step of a run was executed, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CacheReport {
    /// The step's id, with `[item]` in a fan-out.
    pub step: String,
    /// Whether a known result was taken.
    pub answer: CacheAnswer,
    /// Why, in words.
    pub why: String,
    /// The key, where the step has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// The run whose result is compared: of a miss the latest one before it that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<RunId>,
    /// What differs from that one, at most 100 parts, without values.
    #[serde(default)]
    pub changed: Vec<ChangedPart>,
    /// How many parts more differ.
    #[serde(default)]
    pub more: u32,
}

/// Whether a known result was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheAnswer {
    /// It was: the step was not executed.
    Hit,
    /// It was not, though results of the step are kept.
    Miss,
    /// Results of the step are not kept.
    NotKept,
    /// The step was neither executed nor taken: it was skipped, or waits.
    Open,
}

/// A part of a key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedPart {
    /// Its name in the key, as `file:src/a.ts`, `with:script`, `env:CC`, `input:dist`, `salt`.
    pub part: String,
    /// The same in words.
    pub what: String,
    /// The step that it comes from, where it is known to come from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its digest in this run; absent where it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Digest>,
    /// Its digest in the run before; absent where it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
}

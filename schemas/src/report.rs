//! The message back: how an attempt ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{DecisionId, ExecutionId, RunId, WorkerId};
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
    /// The calls of models that it made, in their order; at most [`CALLS_MAX`] of them, while
    /// `usage` holds what all of them cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ModelCall>,
}

/// A call of a model that an execution is about to make: should its worker die, this is all that is
/// known of what was spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallBegun {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's token, as the task bore it.
    pub token: AttemptToken,
    /// The execution.
    pub execution: ExecutionId,
    /// The worker's pool.
    pub pool: PoolName,
    /// The how-manieth call of the execution it is, from 0; below [`CALLS_MAX`].
    pub ordinal: u32,
    /// The call, at the most that it may cost.
    pub call: ModelCall,
}

/// What an attempt has spent over all its executions, as its last word says: each execution's last sum,
/// with calls under way at the most that they may cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// In millionths of a US dollar.
    pub microusd: u64,
}

/// The most calls of models that a report names.
pub const CALLS_MAX: usize = 100;

/// A call of a model: what it was asked with, what answered, and what that took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelCall {
    /// The model, as the step names it.
    pub model: String,
    /// The model that answered, by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<String>,
    /// The gateway's name for the deployment that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The digest of the prompt's text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Digest>,
    /// The digest of the whole request: the messages and every parameter.
    pub request: Digest,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// What it cost, in millionths of a US dollar; the most that it may have cost while `settled` is
    /// false.
    pub cost_microusd: u64,
    /// Whether the cost is what the gateway told. A call that broke off after it was sent may have
    /// been paid for, so it counts in full.
    pub settled: bool,
    /// The former execution of the attempt that made the call and paid, where this one only found its
    /// answer, and the how-manieth call of that execution it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<(ExecutionId, u32)>,
    /// Whether no model was asked, because the gateway answers by itself.
    #[serde(default)]
    pub offline: bool,
    /// Whether this is what was known when it was announced, before it was known what it would be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub announced: bool,
    /// Whether it was announced and then not made: then it is no call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmade: bool,
    /// From the request to the end of the answer, in milliseconds.
    pub wall_ms: u64,
    /// What the worker took beyond that, in microseconds: from taking the call until the request was
    /// sent, and from the answer's last byte until the call was settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead_us: Option<u64>,
    /// The router's decision that it followed, where there is a router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionId>,
}

impl ModelCall {
    /// A call that is about to be made, at the most that it may cost.
    pub fn begun(model: impl Into<String>, request: Digest, most_microusd: u64) -> Self {
        Self {
            model: model.into(),
            served_by: None,
            deployment: None,
            prompt: None,
            request,
            input_tokens: 0,
            output_tokens: 0,
            cost_microusd: most_microusd,
            settled: false,
            payer: None,
            offline: false,
            announced: false,
            unmade: false,
            wall_ms: 0,
            overhead_us: None,
            decision: None,
        }
    }
}

/// What an execution took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

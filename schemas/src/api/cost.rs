//! `/v1/projects/{project}/cost`, `/v1/projects/{project}/cost/settlements`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ExecutionId;

/// The most settlements of one report.
pub const SETTLEMENTS_MAX: usize = 1_000;

/// What a gateway tells of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlements {
    /// At most [`SETTLEMENTS_MAX`].
    pub settlements: Vec<Settlement>,
}

/// What a call took by the gateway's own report. It counts where the worker could not say: it died, or
/// the stream broke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// The execution that made the call.
    pub execution: ExecutionId,
    /// The how-manieth call of the execution it is, from 0.
    pub ordinal: u32,
    /// Tokens in.
    #[serde(default)]
    pub input_tokens: u64,
    /// Tokens out.
    #[serde(default)]
    pub output_tokens: u64,
    /// What it cost, in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// What a row of costs is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The whole project.
    Project,
    /// A model, as steps name it.
    #[default]
    Model,
    /// A deployment, as the gateway names it.
    Deployment,
    /// A run.
    Run,
    /// A pipeline.
    Pipeline,
    /// A stage of a pipeline.
    Stage,
    /// A step of a pipeline.
    Step,
    /// A prompt, by its digest.
    Prompt,
    /// A day, in UTC.
    Day,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Project,
        Self::Model,
        Self::Deployment,
        Self::Run,
        Self::Pipeline,
        Self::Stage,
        Self::Step,
        Self::Prompt,
        Self::Day,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::Run => "run",
            Self::Pipeline => "pipeline",
            Self::Stage => "stage",
            Self::Step => "step",
            Self::Prompt => "prompt",
            Self::Day => "day",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }
}

/// What calls of models cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostReport {
    /// What each row is about.
    pub by: By,
    /// Only calls since then are summed up, in milliseconds since 1970; 0 where all are.
    #[serde(default)]
    pub since_ms: u64,
    /// The dearest first; days in their order.
    pub rows: Vec<CostRow>,
}

/// What the calls that a row is about took and cost, over all executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CostRow {
    /// What it is about.
    pub about: String,
    /// How many calls.
    pub calls: u64,
    /// How many steps, items of a fan-out each, they were made for.
    pub tasks: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// In millionths of a US dollar.
    pub cost_microusd: u64,
    /// How many of the calls count at the most that they may have cost.
    pub unsettled: u64,
    /// How many of the calls asked no model.
    pub offline: u64,
}

impl CostRow {
    /// US dollars.
    pub fn usd(&self) -> f64 {
        self.cost_microusd as f64 / 1e6
    }

    /// US dollars for a thousand tokens, in and out together.
    pub fn usd_per_1k_tokens(&self) -> f64 {
        let tokens = self.input_tokens + self.output_tokens;
        if tokens == 0 { 0.0 } else { self.usd() * 1_000.0 / tokens as f64 }
    }

    /// US dollars for a task.
    pub fn usd_per_task(&self) -> f64 {
        if self.tasks == 0 { 0.0 } else { self.usd() / self.tasks as f64 }
    }
}

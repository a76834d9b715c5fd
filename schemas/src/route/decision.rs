//! What the router answers.
//!
//! A decision stays readable by its own text: it names everything that it weighed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;
use crate::digest::Digest;
use crate::id::DecisionId;

/// What the router answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDecision {
    /// This decision's own id; outcomes name it.
    pub decision_id: DecisionId,
    /// What was decided.
    #[serde(flatten)]
    pub choice: Choice,
}

/// A decision without its id: what the same facts and the same request always give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// What the project lets the router do.
    pub mode: Mode,
    /// The model to use, by the name that the gateway knows it by.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// The one deployment of the model.
    pub deployment: String,
    /// Where the prompt is worked on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// Why.
    pub rationale: Rationale,
    /// What it is likely to cost.
    pub costs: Costs,
    /// How fast and how good it is likely to be.
    #[serde(rename = "SLO_forecast")]
    pub slo_forecast: SloForecast,
    /// Deployments to try next, in this order.
    pub fallbacks: Vec<String>,
    /// How long the decision may be used, in milliseconds.
    pub ttl_ms: u64,
    /// In shadow: what would have been chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_have: Option<Alternative>,
    /// Outside shadow: what would have been used without the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Alternative>,
}

/// The other one of the two: of what was chosen and what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The model.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// The deployment.
    pub deployment: String,
    /// What it is likely to cost.
    pub costs: Costs,
    /// How fast and how good it is likely to be.
    #[serde(rename = "SLO_forecast")]
    pub slo_forecast: SloForecast,
}

/// What brought a decision about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It has the best score of several.
    Score,
    /// It is the only one that may serve.
    Only,
    /// It is what was asked for, and the mode is shadow.
    Fixed,
    /// What was asked for is forbidden; this is the next in line that is not.
    Forbidden,
    /// It tries out whether a provider that failed is back.
    Probe,
}

/// Why a deployment was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rationale {
    /// What brought it about.
    pub cause: Cause,
    /// What each objective counted, together 1.
    pub weights: Terms,
    /// The score of each deployment that could have served.
    pub scores: BTreeMap<String, Score>,
    /// The deployments that could not, and why.
    pub excluded: Vec<Excluded>,
    /// The policies that were asked, where some were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<Digest>,
    /// The configuration that was in force, counted from the process' start or by its keeper.
    pub config_version: u64,
    /// The tags that were reckoned with.
    pub tags: Vec<String>,
}

/// A number for each of the five objectives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// How good the answer is.
    pub quality: f64,
    /// How soon nearly all answers are there.
    pub latency: f64,
    /// What a finished task costs.
    pub cost: f64,
    /// How seldom a call fails.
    pub reliability: f64,
    /// How much of it stays in own hands.
    pub sovereignty: f64,
}

/// A deployment's score and what it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// The sum of the terms, each times its weight; 0 to 1.
    pub total: f64,
    /// Each objective's term, 0 to 1; the best deployment has 1.
    pub terms: Terms,
    /// US dollars per finished task, failed tries and bad answers included; absent where no price is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_usd: Option<f64>,
}

/// A deployment that could not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excluded {
    /// The deployment.
    pub deployment: String,
    /// The rule, as `data.maestro.routing.deny` or `maestro.breaker.open`.
    pub rule: String,
    /// What would have to be otherwise, in words.
    pub message: String,
}

/// What a call is likely to cost, in US dollars; absent where no price is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Costs {
    /// The mean of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_usd: Option<f64>,
    /// What 95 of 100 calls stay below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_usd: Option<f64>,
    /// Where the numbers come from.
    pub basis: Basis,
}

/// Where a cost comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    /// The price: `configured`, `list <source> <date>` or `unknown`.
    pub price: String,
    /// The answer's length: `observed`, `requested` or `assumed`.
    pub tokens: String,
}

/// How fast, how sure and how good a call is likely to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SloForecast {
    /// What 95 of 100 answers are faster than; absent before the first outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<Interval>,
    /// The share of calls that do not fail.
    pub p_success: f64,
    /// The share of answers that are good, by the evaluations of this topic.
    pub p_quality: f64,
}

/// A number and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// It is hardly below this.
    pub lo: f64,
    /// It is hardly above this.
    pub hi: f64,
}

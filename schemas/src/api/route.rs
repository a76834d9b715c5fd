//! `/route/choose`, `/route/outcomes`, `/route/scores`, `/v1/projects/{project}/route/decisions`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::CallOutcome;
use crate::digest::Digest;
use crate::id::{CoordinatorId, DecisionId};
use crate::name::ProjectName;
use crate::route::{Purpose, RouteDecision, RouteRequest};

/// The most outcomes of one report.
pub const OUTCOMES_MAX: usize = 1_000;

/// What became of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// At most [`OUTCOMES_MAX`].
    #[serde(default)]
    pub outcomes: Vec<CallOutcome>,
    /// Decisions that no call followed, though it was counted: at most [`OUTCOMES_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmade: Vec<DecisionId>,
}

/// How many outcomes could be learnt from: those of deployments that are configured, and sane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Learnt {
    /// Their number.
    pub learnt: usize,
}

/// The most scores of one report.
pub const SCORES_MAX: usize = 500;

/// How good answers were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// At most [`SCORES_MAX`].
    pub scores: Vec<Score>,
}

/// How good an answer was, by an evaluation. It names the deployment that gave it, or the decision that
/// the call followed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The deployment that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The decision that chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// What the prompt was about; where it is absent, what the decision's request says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// 0 to 1.
    pub score: f64,
}

/// A score of a deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The deployment.
    pub deployment: String,
    /// What the prompt was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// 0 to 1.
    pub score: f64,
}

/// What one process that serves the API was told, for all others to learn it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shared {
    /// Who was told, and has learnt it.
    pub from: CoordinatorId,
    /// What became of calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<CallOutcome>,
    /// How good answers were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Scored>,
    /// Calls that are about to be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<CallDecided>,
    /// Decisions of such calls that none followed after all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmade: Vec<DecisionId>,
}

/// A decision with all that it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionRecord {
    /// Its id.
    pub decision_id: DecisionId,
    /// The configuration's text.
    pub config: String,
    /// What was known: time, mode, verdicts, each deployment as it stood.
    pub facts: Value,
    /// What was asked; of the messages only their length and tags.
    pub request: RouteRequest,
    /// What was wanted.
    pub objectives: Value,
    /// The decision as JSON, letter by letter.
    pub choice: String,
}

/// A page of decisions, the youngest first, all of which one configuration was in force for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionPage {
    /// The configuration's text; empty where there is no decision.
    pub config: String,
    /// The configuration's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_digest: Option<Digest>,
    /// The decisions.
    pub decisions: Vec<KeptDecision>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A decision as pages have it: a [`DecisionRecord`] without the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptDecision {
    /// Its id.
    pub decision_id: DecisionId,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// What was known.
    pub facts: Value,
    /// What was asked.
    pub request: RouteRequest,
    /// What was wanted.
    pub objectives: Value,
    /// The decision as JSON, letter by letter.
    pub choice: String,
}

/// A question to the router over the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RouteQuestion {
    /// The tenant.
    pub project: ProjectName,
    /// What is asked.
    pub request: RouteRequest,
    /// What the call is for.
    #[serde(default)]
    pub purpose: Purpose,
}

/// A call that follows a decision is about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDecided {
    /// The decision.
    pub decision_id: DecisionId,
    /// Where it goes.
    pub deployment: String,
}

/// The router's answer over the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RouteAnswer {
    /// It decided.
    Decided {
        /// The decision.
        decision: Box<RouteDecision>,
    },
    /// Nobody may serve, or the question cannot be.
    Refused {
        /// The stable code.
        code: String,
        /// The status that HTTP would have.
        status: u16,
        /// In words.
        message: String,
    },
    /// No configuration holds: the caller decides as if there were no router.
    Unconfigured,
}

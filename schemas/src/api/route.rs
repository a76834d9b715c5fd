//! `/route/choose`, `/route/outcomes`, `/v1/projects/{project}/route/decisions`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::call::CallOutcome;
use crate::digest::Digest;
use crate::id::DecisionId;
use crate::name::ProjectName;
use crate::route::{Purpose, RouteDecision, RouteRequest};

/// The most outcomes of one report.
pub const OUTCOMES_MAX: usize = 1_000;

/// What became of calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// At most [`OUTCOMES_MAX`].
    pub outcomes: Vec<CallOutcome>,
}

/// How many outcomes could be learnt from: those of deployments that are configured, and sane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Learnt {
    /// Their number.
    pub learnt: usize,
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

/// What routers tell each other: a call that follows a decision is about to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDecided {
    /// Who decided: it hears its own words too.
    pub router: Uuid,
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

//! The decision: which deployment a request goes to, and which are tried after it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`candidate`] | which deployments a request may go to at all, and what a call to each is likely to be |
//! | [`exclude`] | the rules that take one out, in a fixed order, each with its words |
//! | [`score`] | the five terms, weights, and the total |
//! | [`answer`] | what is told: by mode, with the chain of fallbacks |
//!
//! Whoever is asked (the HTTP route, the bus) gathers [`Facts`], calls [`choose`], and gives the answer
//! an id. Where the cause is a probe, it takes the permit from the breaker first; where that is
//! refused, it marks the deployment as open and chooses again.
//!
//! What must stay true: the same configuration, facts, request and objectives give the same bytes, after
//! a way through JSON too, so that a decision can be repeated from what was stored of it.
//! (`tests/decide.rs`)

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;
use maestro_schemas::route::{
    Choice, InvalidRequest, Mode, Purpose, Refusal, Registered, RouteRequest,
};
use serde::{Deserialize, Serialize};

use crate::breaker::Standing;
use crate::config::Config;
use crate::objective::Objectives;
use crate::statistics::Observed;

mod answer;
mod candidate;
mod exclude;
mod score;

pub use self::candidate::{CHARS_PER_TOKEN, OUTPUT_TOKENS_ASSUMED};
pub use self::exclude::rule;

/// How long a decision may be used, in milliseconds.
pub const TTL_MS: u64 = 2_000;
/// The most deployments that are tried after the first.
pub const FALLBACKS_MAX: usize = 5;

/// What is known when a decision is made; it can be stored beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// What the project lets the router do.
    pub mode: Mode,
    /// The number of the configuration that is in force.
    pub config_version: u64,
    /// What the policies say.
    pub policy: Policy,
    /// What the call is for, as the policies were told: it decides nothing by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// What the registry knew of the purpose's prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Registered>,
    /// Each deployment as it stands; one that is missing stands as at the start.
    pub candidates: BTreeMap<String, Candidate>,
}

/// A deployment as it stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its breaker.
    pub standing: Standing,
    /// Calls under way.
    pub in_flight: u32,
    /// What was learnt of it.
    pub observed: Observed,
}

/// What the policies say of each deployment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// No policies are in force.
    #[default]
    Off,
    /// Policies were asked. A deployment without a verdict is denied.
    Asked {
        /// The bundle that answered.
        bundle: Digest,
        /// Deployment to verdict.
        verdicts: BTreeMap<String, Verdict>,
    },
}

/// What the policies say of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it may serve.
    pub allowed: bool,
    /// Why not.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// Whether policies on cost are among those that deny.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_dear: bool,
}

/// Why a policy denies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The rule, as `data.maestro.routing.deny`.
    pub rule: String,
    /// What would make it pass, in words.
    pub message: String,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request cannot be.
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// No deployment may serve it.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Decides.
pub fn choose(
    config: &Config,
    facts: &Facts,
    request: &RouteRequest,
    objectives: &Objectives,
) -> Result<Choice, Failure> {
    request.check()?;
    let asked = Asked { config, facts, request, objectives };
    let candidates = candidate::gather(&asked)?;
    let sorted = exclude::sort(&asked, candidates);
    let scored = score::rank(&asked, sorted.usable.iter().collect());
    answer::answer(&asked, &sorted, &scored)
}

/// What a call to each deployment that the request may go to is likely to cost, in US dollars: what a
/// decision reckons with. Nothing where no price is known.
pub fn estimates(
    config: &Config,
    facts: &Facts,
    request: &RouteRequest,
) -> Result<BTreeMap<String, Option<f64>>, InvalidRequest> {
    request.check()?;
    let asked = Asked { config, facts, request, objectives: &Objectives::default() };
    let candidates = candidate::gather(&asked)?;
    let cost = |one: candidate::Prospect<'_>| (one.deployment.id.clone(), one.costs.expected_usd);
    Ok(candidates.into_iter().map(cost).collect())
}

/// All that a decision is made from.
#[derive(Clone, Copy)]
struct Asked<'a> {
    config: &'a Config,
    facts: &'a Facts,
    request: &'a RouteRequest,
    objectives: &'a Objectives,
}

//! Which deployments a request may go to at all, and what a call to each is likely to be.

use maestro_schemas::route::{Alternative, Basis, Costs, InvalidRequest, SloForecast};

use super::{Asked, Candidate};
use crate::breaker::Standing;
use crate::config::Deployment;
use crate::round::rounded;
use crate::statistics::SUCCESS_PRIOR;

/// So many characters of a prompt are taken for a token, where tokens are not told.
pub const CHARS_PER_TOKEN: f64 = 4.0;
/// An answer of which nothing is known is taken to have so many tokens.
pub const OUTPUT_TOKENS_ASSUMED: f64 = 400.0;
/// One answer in 20 is longer than this multiple of the mean, where nothing is known.
const LONG_ANSWER: f64 = 4.0;
/// No share is taken for less, so that what never worked has a price too.
const SHARE_MIN: f64 = 0.01;

/// A deployment and what a call to it is likely to be.
pub(super) struct Prospect<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) candidate: Candidate,
    /// Tokens of the prompt, and the most that its answer is to have room for.
    pub(super) tokens: (f64, f64),
    pub(super) costs: Costs,
    /// What a finished task costs: failed tries are repeated, and bad answers are no use.
    pub(super) task_usd: Option<f64>,
    pub(super) forecast: SloForecast,
}

/// The deployments that the request names, in the configuration's order.
pub(super) fn gather<'a>(asked: &Asked<'a>) -> Result<Vec<Prospect<'a>>, InvalidRequest> {
    let config = asked.config;
    let Some(name) = asked.request.model.as_deref() else {
        return Ok(config.deployments.iter().map(|one| prospect(asked, one)).collect());
    };
    if !config.knows(name) {
        return Err(InvalidRequest {
            field: "model",
            found: format!("{name:?}"),
            expected: "a model, group or deployment of the configuration".to_owned(),
        });
    }
    let group = config.groups.get(name).map(Vec::as_slice).unwrap_or_default();
    let chain = config.fallbacks.get(name).map(Vec::as_slice).unwrap_or_default();
    let named = |one: &&Deployment| {
        one.id == name
            || one.model == name
            || group.contains(&one.model)
            || chain.contains(&one.model)
    };
    Ok(config.deployments.iter().filter(named).map(|one| prospect(asked, one)).collect())
}

fn prospect<'a>(asked: &Asked<'a>, deployment: &'a Deployment) -> Prospect<'a> {
    let mut candidate = asked.facts.candidates.get(&deployment.id).copied().unwrap_or_default();
    if candidate.standing == Standing::ProbeDue {
        // What failed is tried out only if it would be worth it were it well again.
        candidate.observed.p_success = candidate.observed.p_success.max(SUCCESS_PRIOR);
    }
    let observed = candidate.observed;
    let input = input_tokens(asked);
    let answer = Answer::of(asked, deployment, &candidate);
    let price = deployment.price.as_ref();
    let call = |output: f64| price.map(|price| rounded(price.call(input, output), 9));
    let share = observed.p_success.max(SHARE_MIN) * observed.p_quality.max(SHARE_MIN);
    Prospect {
        deployment,
        candidate,
        tokens: (input, asked.request.max_output_tokens.map_or(answer.mean, |most| most as f64)),
        task_usd: call(answer.mean).map(|usd| rounded(usd / share, 9)),
        costs: Costs {
            expected_usd: call(answer.mean),
            p95_usd: call(answer.long),
            basis: Basis {
                price: price.map_or_else(|| "unknown".to_owned(), |price| price.basis.clone()),
                tokens: answer.basis.to_owned(),
            },
        },
        forecast: SloForecast {
            p95_ms: observed.p95_ms,
            p_success: observed.p_success,
            p_quality: observed.p_quality,
        },
    }
}

impl Prospect<'_> {
    pub(super) fn alternative(&self) -> Alternative {
        Alternative {
            model: self.deployment.model.clone(),
            provider: self.deployment.provider.clone(),
            deployment: self.deployment.id.clone(),
            costs: self.costs.clone(),
            slo_forecast: self.forecast,
        }
    }
}

fn input_tokens(asked: &Asked<'_>) -> f64 {
    let told = asked.request.input_tokens.map(|tokens| tokens as f64);
    told.unwrap_or_else(|| (asked.request.chars() as f64 / CHARS_PER_TOKEN).ceil())
}

/// How many tokens an answer has.
struct Answer {
    mean: f64,
    long: f64,
    basis: &'static str,
}

impl Answer {
    fn of(asked: &Asked<'_>, deployment: &Deployment, candidate: &Candidate) -> Self {
        let observed = candidate.observed;
        let requested = asked.request.output_tokens.map(|tokens| tokens as f64);
        let (mean, basis) = match (requested, observed.output_tokens_mean) {
            (Some(tokens), _) => (tokens, "requested"),
            (None, Some(tokens)) => (tokens, "observed"),
            (None, None) => (OUTPUT_TOKENS_ASSUMED, "assumed"),
        };
        let long = match (requested, observed.output_tokens_p95) {
            (None, Some(tokens)) => tokens,
            _ => mean * LONG_ANSWER,
        };
        let most = [asked.request.max_output_tokens, deployment.output_tokens_max];
        let most = most.into_iter().flatten().min().map_or(f64::MAX, |most| most as f64);
        Self { mean: mean.min(most), long: long.max(mean).min(most), basis }
    }
}

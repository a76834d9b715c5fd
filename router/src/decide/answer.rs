//! What is told: by mode, with the chain of fallbacks.
//!
//! In shadow the answer is what was asked for, and what would have been chosen stands beside it. What
//! is forbidden is not done in shadow either: then the next in the configured chain is told.

use maestro_schemas::route::{Alternative, Cause, Choice, Mode, Rationale, Refusal};

use super::candidate::Prospect;
use super::exclude::Sorted;
use super::score::Ranked;
use super::{Asked, FALLBACKS_MAX, Failure, Policy, TTL_MS};
use crate::breaker::Standing;

/// Puts the answer together.
pub(super) fn answer(
    asked: &Asked<'_>,
    sorted: &Sorted<'_>,
    ranked: &Ranked<'_>,
) -> Result<Choice, Failure> {
    let best = ranked.order.first().copied();
    let fixed = fixed(asked, sorted);
    if asked.facts.mode == Mode::Shadow
        && let Some((first, rest)) = fixed.split_first()
    {
        // What was asked for may have been tried; only where none of it is permitted is it forbidden.
        let permitted = sorted.usable.iter().chain(&sorted.unfit);
        let cause = match permitted.into_iter().any(|one| is_asked_for(asked, one)) {
            true => Cause::Fixed,
            false => Cause::Forbidden,
        };
        let mut choice = told(asked, sorted, ranked, first);
        choice.rationale.cause = cause;
        choice.fallbacks = ids(rest.iter().copied());
        choice.would_have = other(best, first);
        return Ok(choice);
    }
    let best = best.ok_or_else(|| refusal(asked, sorted))?;
    let mut choice = told(asked, sorted, ranked, best);
    choice.fallbacks = ids(fallbacks(asked, ranked, best).into_iter());
    choice.instead_of = fixed.first().and_then(|first| other(Some(*first), best));
    Ok(choice)
}

fn other(one: Option<&Prospect<'_>>, told: &Prospect<'_>) -> Option<Alternative> {
    one.filter(|one| one.deployment.id != told.deployment.id).map(Prospect::alternative)
}

fn ids<'a>(prospects: impl Iterator<Item = &'a Prospect<'a>>) -> Vec<String> {
    prospects.take(FALLBACKS_MAX).map(|one| one.deployment.id.clone()).collect()
}

fn told(
    asked: &Asked<'_>,
    sorted: &Sorted<'_>,
    ranked: &Ranked<'_>,
    prospect: &Prospect<'_>,
) -> Choice {
    let cause = match (prospect.candidate.standing, ranked.order.len()) {
        (Standing::ProbeDue, _) => Cause::Probe,
        (_, 1) => Cause::Only,
        _ => Cause::Score,
    };
    let deployment = prospect.deployment;
    Choice {
        mode: asked.facts.mode,
        model: deployment.model.clone(),
        provider: deployment.provider.clone(),
        deployment: deployment.id.clone(),
        jurisdiction: deployment.jurisdiction.clone(),
        rationale: Rationale {
            cause,
            weights: ranked.weights,
            scores: ranked.scores.clone(),
            excluded: sorted.excluded.clone(),
            policy_digest: match asked.facts.policy {
                Policy::Off => None,
                Policy::Asked { bundle, .. } => Some(bundle),
            },
            config_version: asked.facts.config_version,
            tags: asked.request.tags.clone(),
        },
        costs: prospect.costs.clone(),
        slo_forecast: prospect.forecast,
        fallbacks: Vec::new(),
        ttl_ms: TTL_MS,
        would_have: None,
        instead_of: None,
    }
}

/// The model that is used without the router: the one that was asked for, or the default.
fn primary<'a>(asked: &Asked<'a>) -> &'a str {
    let config = asked.config;
    match asked.request.model.as_deref() {
        None => &config.default_model,
        Some(name) => match config.groups.get(name).and_then(|models| models.first()) {
            Some(first) => first,
            None => name,
        },
    }
}

fn is_asked_for(asked: &Asked<'_>, prospect: &Prospect<'_>) -> bool {
    let name = primary(asked);
    prospect.deployment.model == name || prospect.deployment.id == name
}

/// What is used without the router, in the configured order, of what is permitted and not tried: the
/// model that was asked for, then its chain, then what else there is.
fn fixed<'a>(asked: &Asked<'_>, sorted: &'a Sorted<'a>) -> Vec<&'a Prospect<'a>> {
    let name = primary(asked);
    let chain = asked.config.fallbacks.get(name).map(Vec::as_slice).unwrap_or_default();
    let place = |prospect: &Prospect<'_>| {
        let in_chain = chain.iter().position(|model| *model == prospect.deployment.model);
        match (is_asked_for(asked, prospect), in_chain) {
            (true, _) => 0,
            (false, Some(place)) => place + 1,
            (false, None) => chain.len() + 1,
        }
    };
    let listed = |prospect: &Prospect<'_>| {
        let mut all = asked.config.deployments.iter();
        all.position(|one| one.id == prospect.deployment.id)
    };
    let mut fixed: Vec<&Prospect<'_>> = sorted
        .usable
        .iter()
        .chain(&sorted.unfit)
        .filter(|one| !asked.request.tried.contains(&one.deployment.id))
        .collect();
    fixed.sort_by_key(|one| (place(one), listed(one)));
    fixed
}

/// What is tried after the first: the configured chain of its model, then the others by their scores.
/// A provider that is to be probed is not among them: a probe has to be asked for.
fn fallbacks<'a>(
    asked: &Asked<'_>,
    ranked: &Ranked<'a>,
    first: &Prospect<'_>,
) -> Vec<&'a Prospect<'a>> {
    let of = |model: &str| asked.config.fallbacks.get(model).map(Vec::as_slice);
    let chain = of(&first.deployment.model).or_else(|| of(primary(asked))).unwrap_or_default();
    let place = |prospect: &&Prospect<'_>| {
        let place = chain.iter().position(|model| *model == prospect.deployment.model);
        place.unwrap_or(chain.len())
    };
    let others = ranked.order.iter().copied().filter(|one| {
        one.deployment.id != first.deployment.id && one.candidate.standing != Standing::ProbeDue
    });
    let mut others: Vec<&Prospect<'_>> = others.collect();
    // The sort keeps the order of the scores within one place of the chain.
    others.sort_by_key(place);
    others
}

fn refusal(asked: &Asked<'_>, sorted: &Sorted<'_>) -> Failure {
    let status = if sorted.unfit.is_empty() { 403 } else { 503 };
    Failure::Refused(Refusal {
        status,
        excluded: sorted.excluded.clone(),
        retry_after_ms: sorted.until_ms.map(|until| until.saturating_sub(asked.facts.now_ms)),
    })
}

//! The rules that take a deployment out, in a fixed order. The first that applies is told.
//!
//! Those of the first kind say what is permitted: they hold in every mode, and where they leave
//! nothing, the answer is 403. Those of the second kind say what makes sense at this moment.

use std::collections::BTreeSet;

use maestro_schemas::route::{Excluded, Mode};

use super::candidate::Prospect;
use super::{Asked, Policy};
use crate::breaker::Standing;

/// The tag of a text that nobody has looked at, or not at all of it.
const UNSCANNED: &str = "unscanned";

/// The names of the rules that are not a policy's own.
pub mod rule {
    /// Policies were asked, and none said anything of this deployment.
    pub const POLICY_MISSING: &str = "maestro.policy.missing";
    /// A tag of the content may go to other models only.
    pub const CONTENT_TAGS: &str = "maestro.content_tags";
    /// It runs elsewhere than the request permits, or nobody said where.
    pub const JURISDICTION: &str = "maestro.jurisdiction";
    /// The caller has tried it.
    pub const TRIED: &str = "maestro.tried";
    /// Its provider fails.
    pub const OPEN: &str = "maestro.breaker.open";
    /// Its provider was asked too often.
    pub const THROTTLED: &str = "maestro.breaker.throttled";
    /// As many calls as it may have are under way.
    pub const CONCURRENCY: &str = "maestro.limit.concurrency";
    /// Prompt and answer are too long for it.
    pub const CONTEXT: &str = "maestro.limit.context";
    /// A call is dearer than the request allows.
    pub const COST: &str = "maestro.bound.cost";
    /// It is not what was asked for, which is too dear, and the request wants nothing else then.
    pub const DOWNGRADE: &str = "maestro.downgrade";
    /// A call is slower than the request allows.
    pub const LATENCY: &str = "maestro.bound.p95";
}

/// The prospects, by what the rules say of them.
pub(super) struct Sorted<'a> {
    /// Those that may serve now.
    pub(super) usable: Vec<Prospect<'a>>,
    /// Those that are permitted and make no sense at this moment.
    pub(super) unfit: Vec<Prospect<'a>>,
    /// Why the others may not, and why the unfit do not.
    pub(super) excluded: Vec<Excluded>,
    /// The first time at which one that has to wait need not any more, in milliseconds.
    pub(super) until_ms: Option<u64>,
}

/// Applies the rules.
pub(super) fn sort<'a>(asked: &Asked<'a>, prospects: Vec<Prospect<'a>>) -> Sorted<'a> {
    let mut sorted =
        Sorted { usable: Vec::new(), unfit: Vec::new(), excluded: Vec::new(), until_ms: None };
    let mut too_dear = false;
    for prospect in prospects {
        too_dear |= is_asked_for(asked, &prospect) && is_too_dear(asked, &prospect);
        let forbidden = forbidden(asked, &prospect);
        if !forbidden.is_empty() {
            sorted.excluded.extend(forbidden);
        } else if let Some(unfit) = unfit(asked, &prospect) {
            if let Standing::Open(until) | Standing::Throttled(until) = prospect.candidate.standing
            {
                sorted.until_ms = Some(sorted.until_ms.map_or(until, |first| first.min(until)));
            }
            sorted.excluded.push(unfit);
            sorted.unfit.push(prospect);
        } else {
            sorted.usable.push(prospect);
        }
    }
    if too_dear && asked.request.downgrade == Some(false) {
        keep_to_what_was_asked(asked, &mut sorted);
    }
    sorted
}

/// Takes everything out where what was asked for cannot serve: nothing cheaper is wanted.
fn keep_to_what_was_asked(asked: &Asked<'_>, sorted: &mut Sorted<'_>) {
    if sorted.usable.iter().any(|one| is_asked_for(asked, one)) {
        return;
    }
    let others = std::mem::take(&mut sorted.usable);
    let message = "what was asked for is too dear, and the request permits no downgrade";
    sorted.excluded.extend(others.iter().map(|one| told(one, rule::DOWNGRADE, message)));
    sorted.unfit.retain(|one| is_asked_for(asked, one) && !is_too_dear(asked, one));
    if sorted.unfit.is_empty() {
        sorted.until_ms = None;
    }
}

/// Whether the request names it: by itself, by its model, or by a group that it is in.
fn is_asked_for(asked: &Asked<'_>, prospect: &Prospect<'_>) -> bool {
    let deployment = prospect.deployment;
    asked.request.model.as_deref().is_none_or(|name| {
        let group = asked.config.groups.get(name).map(Vec::as_slice).unwrap_or_default();
        deployment.model == name || deployment.id == name || group.contains(&deployment.model)
    })
}

/// Whether policies on cost deny it, or a bound on cost of the request excludes it where the router
/// chooses by itself; in shadow such a bound excludes nothing.
fn is_too_dear(asked: &Asked<'_>, prospect: &Prospect<'_>) -> bool {
    let by_policy = match &asked.facts.policy {
        Policy::Asked { verdicts, .. } => {
            verdicts.get(&prospect.deployment.id).is_some_and(|verdict| verdict.too_dear)
        }
        Policy::Off => false,
    };
    by_policy || asked.facts.mode != Mode::Shadow && too_dear(asked, prospect).is_some()
}

fn told(prospect: &Prospect<'_>, rule: &str, message: impl Into<String>) -> Excluded {
    Excluded {
        deployment: prospect.deployment.id.clone(),
        rule: rule.to_owned(),
        message: message.into(),
    }
}

/// What forbids it: policies, then tags, then places.
fn forbidden(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Vec<Excluded> {
    let by_policy = denied(&asked.facts.policy, prospect);
    if !by_policy.is_empty() {
        return by_policy;
    }
    tagged(asked, prospect).or_else(|| elsewhere(asked, prospect)).into_iter().collect()
}

fn denied(policy: &Policy, prospect: &Prospect<'_>) -> Vec<Excluded> {
    let Policy::Asked { verdicts, .. } = policy else { return Vec::new() };
    match verdicts.get(&prospect.deployment.id) {
        Some(verdict) if verdict.allowed => Vec::new(),
        Some(verdict) if !verdict.reasons.is_empty() => {
            let reasons = verdict.reasons.iter();
            reasons.map(|reason| told(prospect, &reason.rule, &reason.message)).collect()
        }
        _ => vec![told(prospect, rule::POLICY_MISSING, "a policy that allows it")],
    }
}

fn tagged(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    let tags = &asked.config.content_tags;
    let outside = |models: &BTreeSet<String>| !models.contains(&prospect.deployment.model);
    asked.request.tags.iter().find_map(|tag| {
        let name = tag.to_lowercase();
        let (other, models) = match tags.get_key_value(&name) {
            Some((_, models)) => (None, Some(models).filter(|models| outside(models))?),
            // Nobody has looked, so it is taken for all that it may be.
            None if name == UNSCANNED => {
                let (other, models) = tags.iter().find(|(_, models)| outside(models))?;
                (Some(other), models)
            }
            None => return None,
        };
        let only = models.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let what =
            other.map_or_else(|| tag.clone(), |other| format!("{tag} may be {other}, which"));
        Some(told(prospect, rule::CONTENT_TAGS, format!("{what} may go to {only} only")))
    })
}

fn elsewhere(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    let place = prospect.deployment.jurisdiction.as_deref();
    [&asked.request.jurisdictions, &asked.objectives.residency].into_iter().find_map(|permitted| {
        let within =
            |place: &str| permitted.iter().any(|one| is_within(place, &one.to_lowercase()));
        if permitted.is_empty() || place.is_some_and(within) {
            return None;
        }
        let message = format!(
            "permitted is {}; it runs in {}",
            permitted.join(", "),
            place.unwrap_or("a place that is not configured"),
        );
        Some(told(prospect, rule::JURISDICTION, message))
    })
}

/// Whether a place is the permitted one or a part of it: `eu-de` is within `eu`.
fn is_within(place: &str, permitted: &str) -> bool {
    place.strip_prefix(permitted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// What makes no sense at this moment.
fn unfit(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    if asked.request.tried.contains(&prospect.deployment.id) {
        return Some(told(prospect, rule::TRIED, "the caller has tried it"));
    }
    waits(asked, prospect).or_else(|| full(prospect)).or_else(|| beyond(asked, prospect))
}

fn waits(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    let endpoint = &prospect.deployment.endpoint;
    let after = |until: u64| until.saturating_sub(asked.facts.now_ms);
    match prospect.candidate.standing {
        Standing::Closed | Standing::ProbeDue => None,
        Standing::Open(until) => {
            let message = format!("{endpoint} fails; a probe is due in {} ms", after(until));
            Some(told(prospect, rule::OPEN, message))
        }
        Standing::Throttled(until) => {
            let message = format!("{endpoint} takes calls again in {} ms", after(until));
            Some(told(prospect, rule::THROTTLED, message))
        }
    }
}

fn full(prospect: &Prospect<'_>) -> Option<Excluded> {
    let (calls, most) = (prospect.candidate.in_flight, prospect.deployment.max_concurrency);
    if let Some(most) = most.filter(|most| calls >= *most) {
        let message = format!("{calls} calls are under way; at most {most}");
        return Some(told(prospect, rule::CONCURRENCY, message));
    }
    let (input, room) = prospect.tokens;
    let most = prospect.deployment.context_tokens.filter(|most| input + room > *most as f64)?;
    let message = format!("prompt and answer are {input} + {room} tokens; at most {most}");
    Some(told(prospect, rule::CONTEXT, message))
}

fn beyond(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    too_dear(asked, prospect).or_else(|| too_slow(asked, prospect))
}

/// Whether a call is dearer than the request allows.
fn too_dear(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    let cap = asked.request.cap_microusd.map(|cap| cap as f64 / 1e6);
    let bounds = [
        (prospect.costs.expected_usd, asked.objectives.max_cost_usd),
        (prospect.costs.p95_usd, cap),
    ];
    for (usd, most) in bounds {
        match (usd, most) {
            (None, Some(most)) => {
                let message = format!("its price is not known; a call may cost {most} USD");
                return Some(told(prospect, rule::COST, message));
            }
            (Some(usd), Some(most)) if usd > most => {
                let message = format!("a call costs {usd} USD; it may cost {most}");
                return Some(told(prospect, rule::COST, message));
            }
            _ => {}
        }
    }
    None
}

fn too_slow(asked: &Asked<'_>, prospect: &Prospect<'_>) -> Option<Excluded> {
    let (p95, most) = (prospect.forecast.p95_ms?.value, asked.objectives.p95_ms?);
    let message = format!("95 of 100 calls take up to {p95} ms; they may take {most}");
    (p95 > most).then(|| told(prospect, rule::LATENCY, message))
}

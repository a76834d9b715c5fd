//! The five terms of a deployment, and what they add up to.
//!
//! A term is 1 for the best of those that could serve, and less for the others by how far they are
//! behind it, measured against the distance between best and worst. Where that distance is small, so is
//! what it counts: each objective has a least distance, so that half a percent of quality does not
//! outweigh half of the price. Latency and cost are compared by ratio, the others by difference.
//!
//! Cost is that of a finished task, not of a call: a call that fails is made again, and a bad answer
//! was paid for nothing. A price that is not known is taken for the dearest.

use std::collections::BTreeMap;

use maestro_schemas::route::{Hint, Score, Terms};

use super::Asked;
use super::candidate::Prospect;
use crate::objective::{Objective, normalised};
use crate::round::rounded;

/// The least distance of shares of good answers.
const QUALITY_DISTANCE: f64 = 0.1;
/// The least distance of shares of calls that succeed.
const RELIABILITY_DISTANCE: f64 = 0.05;
/// The least distance of latencies and of costs: a doubling.
const RATIO_DISTANCE: f64 = std::f64::consts::LN_2;
/// Of a latency that is not known yet.
const LATENCY_UNKNOWN: f64 = 0.5;
/// What a hint multiplies the one weight by, and divides the other.
const HINT: f64 = 2.0;
/// No cost is less, in US dollars: a ratio to nothing says nothing.
const USD_MIN: f64 = 1e-6;

/// How much stays in own hands: own servers, a provider that keeps nothing, a known place.
const OWN: f64 = 1.0;
const KEEPS_NOTHING: f64 = 0.25;
const KNOWN_PLACE: f64 = 0.5;

/// The prospects with their scores, the best first; equal ones by their ids.
pub(super) struct Ranked<'a> {
    pub(super) order: Vec<&'a Prospect<'a>>,
    pub(super) scores: BTreeMap<String, Score>,
    pub(super) weights: Terms,
}

/// Scores and sorts.
pub(super) fn rank<'a>(asked: &Asked<'_>, mut order: Vec<&'a Prospect<'a>>) -> Ranked<'a> {
    let weights = weights(asked);
    let terms = terms(&order);
    let scores: BTreeMap<String, Score> = order
        .iter()
        .zip(terms)
        .map(|(prospect, terms)| {
            let weighted = |one: &Objective| one.of(&weights) * one.of(&terms);
            let total = rounded(Objective::ALL.iter().map(weighted).sum(), 6);
            let score = Score { total, terms, task_usd: prospect.task_usd };
            (prospect.deployment.id.clone(), score)
        })
        .collect();
    let total =
        |prospect: &Prospect<'_>| scores.get(&prospect.deployment.id).map_or(0.0, |one| one.total);
    order.sort_by(|one, other| {
        let by_total = total(other).total_cmp(&total(one));
        by_total.then_with(|| one.deployment.id.cmp(&other.deployment.id))
    });
    Ranked { order, scores, weights }
}

fn weights(asked: &Asked<'_>) -> Terms {
    let mut weights = asked.objectives.weights.unwrap_or(asked.config.weights);
    match asked.request.hint {
        Some(Hint::Draft) => {
            weights.quality /= HINT;
            weights.cost *= HINT;
        }
        Some(Hint::Final) => {
            weights.quality *= HINT;
            weights.cost /= HINT;
        }
        None => {}
    }
    normalised(weights)
}

fn terms(prospects: &[&Prospect<'_>]) -> Vec<Terms> {
    let of = |value: fn(&Prospect<'_>) -> Option<f64>, distance: f64, unknown: f64| -> Vec<f64> {
        let values: Vec<Option<f64>> = prospects.iter().map(|one| value(one)).collect();
        relative(&values, distance, unknown)
    };
    let quality = of(|one| Some(one.forecast.p_quality), QUALITY_DISTANCE, 0.0);
    let latency =
        of(|one| Some(-one.forecast.p95_ms?.value.max(1.0).ln()), RATIO_DISTANCE, LATENCY_UNKNOWN);
    let cost = of(|one| Some(-one.task_usd?.max(USD_MIN).ln()), RATIO_DISTANCE, 0.0);
    let reliability = of(|one| Some(one.forecast.p_success), RELIABILITY_DISTANCE, 0.0);
    let sovereignty = of(|one| Some(in_own_hands(one)), OWN, 0.0);
    let columns = quality.into_iter().zip(latency).zip(cost).zip(reliability).zip(sovereignty);
    columns
        .map(|((((quality, latency), cost), reliability), sovereignty)| Terms {
            quality,
            latency,
            cost,
            reliability,
            sovereignty,
        })
        .collect()
}

/// Each value's term, where more is better.
fn relative(values: &[Option<f64>], distance: f64, unknown: f64) -> Vec<f64> {
    let known = || values.iter().flatten().copied();
    let best = known().fold(f64::MIN, f64::max);
    let worst = known().fold(f64::MAX, f64::min);
    let whole = (best - worst).max(distance);
    // Where nothing is known of any, none is behind.
    let unknown = if known().next().is_none() { 1.0 } else { unknown };
    let term = |value: f64| rounded(1.0 - (best - value) / whole, 6);
    values.iter().map(|value| value.map_or(unknown, term)).collect()
}

fn in_own_hands(prospect: &Prospect<'_>) -> f64 {
    let deployment = prospect.deployment;
    if deployment.self_hosted {
        return OWN;
    }
    let place = if deployment.jurisdiction.is_some() { KNOWN_PLACE } else { 0.0 };
    place + if deployment.zdr { KEEPS_NOTHING } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_distance_counts_little_and_a_large_one_all() {
        assert_eq!(relative(&[Some(0.90), Some(0.89)], 0.1, 0.0), [1.0, 0.9]);
        assert_eq!(relative(&[Some(0.90), Some(0.40), Some(0.65)], 0.1, 0.0), [1.0, 0.0, 0.5]);
    }

    #[test]
    fn what_is_not_known_is_the_worst_unless_nothing_is_known() {
        assert_eq!(relative(&[Some(1.0), None], 0.1, 0.0), [1.0, 0.0]);
        assert_eq!(relative(&[None, None], 0.1, 0.0), [1.0, 1.0]);
        assert_eq!(relative(&[], 0.1, 0.0), [0.0; 0]);
    }

    proptest::proptest! {
        #[test]
        fn terms_are_shares_and_the_best_has_all(
            values in proptest::collection::vec(proptest::option::of(-20.0f64..20.0), 1..12),
        ) {
            let terms = relative(&values, 0.1, 0.5);
            proptest::prop_assert!(terms.iter().all(|term| (0.0..=1.0).contains(term)));
            proptest::prop_assert_eq!(terms.iter().copied().fold(0.0, f64::max), 1.0);
        }
    }
}

//! The three answers of a plan: cached, runs, depends.
//!
//! The promise, for a run in which nothing fails: what is called cached is not executed, what is called
//! runs is, and what is called depends is said once a step before it has run. Of steps that turn out
//! to be equal only in the run, one is executed, and another may take what it made.
//! (`tests/reuse.rs` holds runs of random pipelines to it.)

use std::collections::BTreeMap;

use maestro_schemas::action::Effect;
use maestro_schemas::api::plans::{PlanAnswer, PlannedStep};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{Items, Node, Plan, StepKey};

use super::key::{changed, word};

/// The most changed parts that are named for a step.
const CHANGED_MAX: usize = 20;

/// What a forecast saw a run do with a step ([`crate::forecast`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Its result is taken under this key.
    Cached(StepKey),
    /// It is executed; the key is absent where results are not kept.
    Runs(Option<StepKey>),
    /// It is not executed, for this reason.
    Skipped(String),
    /// A fan-out whose items are known, and how many of their results are.
    Items {
        /// How many items.
        count: usize,
        /// How many of them have a result.
        cached: usize,
    },
}

/// What the results that are kept say about keys.
pub struct Known<'a> {
    /// Whether the result of a key is there, whole.
    pub result: &'a dyn Fn(&Digest) -> bool,
    /// The parts of the key of the nearest earlier result of a step, by the step's id.
    pub nearest: &'a dyn Fn(&str) -> Option<BTreeMap<String, Digest>>,
    /// What a forecast saw of the step at an index.
    pub seen: &'a dyn Fn(u32) -> Option<Seen>,
}

impl Known<'static> {
    /// Nothing is kept anywhere.
    pub const NOTHING: Known<'static> =
        Known { result: &|_| false, nearest: &|_| None, seen: &|_| None };
}

/// For each step, in the plan's order, what a run of this plan would do now.
pub fn answers(plan: &Plan, known: &Known<'_>) -> Vec<PlannedStep> {
    let mut steps: Vec<PlannedStep> = (0u32..)
        .zip(&plan.nodes)
        .map(|(index, node)| {
            let seen = (known.seen)(index);
            let (answer, why, changed) = match &seen {
                Some(seen) => answer_seen(node, seen, known),
                None => answer(plan, node, known),
            };
            let key = match &seen {
                Some(Seen::Cached(key) | Seen::Runs(Some(key))) => Some(key.digest),
                _ => node.key.as_ref().map(|key| key.digest),
            };
            PlannedStep { id: node.id.clone(), answer, why, changed, key }
        })
        .collect();
    tell_twins(plan, &mut steps);
    steps
}

/// Of steps with one key that has no result yet, whichever begins later may take what the other made,
/// also where it is not known whether the other runs.
fn tell_twins(plan: &Plan, steps: &mut [PlannedStep]) {
    let mut by_key: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (index, (step, node)) in steps.iter().zip(&plan.nodes).enumerate() {
        let is_open = matches!(step.answer, PlanAnswer::Runs | PlanAnswer::Depends);
        if let (true, true, Some(key)) = (is_open, node.cached, step.key) {
            by_key.entry(key).or_default().push(index);
        }
    }
    for twins in by_key.into_values().filter(|twins| twins.len() > 1) {
        let ids: Vec<String> =
            twins.iter().filter_map(|twin| Some(steps.get(*twin)?.id.clone())).collect();
        for (place, twin) in twins.iter().enumerate() {
            let other = ids.get(usize::from(place == 0)).map_or("", String::as_str);
            let step = steps.get_mut(*twin);
            if let Some(step) = step.filter(|step| step.answer == PlanAnswer::Runs) {
                step.answer = PlanAnswer::Depends;
                step.why =
                    format!("{other} has the same key: one of them may take what the other made");
            }
        }
    }
}

type Answer = (PlanAnswer, String, Vec<String>);

fn answer_seen(node: &Node, seen: &Seen, known: &Known<'_>) -> Answer {
    match seen {
        Seen::Cached(_) => cached(),
        Seen::Runs(Some(key)) => unknown(node, key, known),
        Seen::Runs(None) => (PlanAnswer::Runs, not_kept(node), Vec::new()),
        Seen::Skipped(why) => (PlanAnswer::Skipped, why.clone(), Vec::new()),
        Seen::Items { count, cached } if cached == count => {
            (PlanAnswer::Cached, format!("all of its {count} items have a result"), Vec::new())
        }
        Seen::Items { count, cached: 0 } => {
            (PlanAnswer::Runs, format!("none of its {count} items has a result"), Vec::new())
        }
        Seen::Items { count, cached } => {
            (PlanAnswer::Runs, format!("{cached} of its {count} items have a result"), Vec::new())
        }
    }
}

fn cached() -> Answer {
    (PlanAnswer::Cached, "nothing that its result depends on has changed".into(), Vec::new())
}

fn answer(plan: &Plan, node: &Node, known: &Known<'_>) -> Answer {
    match node.condition.as_deref() {
        Some("false") => {
            return (
                PlanAnswer::Skipped,
                "its condition is false for these inputs".into(),
                Vec::new(),
            );
        }
        None | Some("success()" | "always()") => {}
        Some(condition) => {
            return (PlanAnswer::Depends, format!("it runs if {condition}"), Vec::new());
        }
    }
    if let Some(each) = &node.for_each
        && let Some(answer) = items_unknown(&each.items)
    {
        return answer;
    }
    if !node.cached {
        return (PlanAnswer::Runs, not_kept(node), Vec::new());
    }
    match &node.key {
        Some(key) => keyed(node, key, known),
        None => depends(plan, node),
    }
}

/// What a fan-out does whose items are not known yet, or are none.
fn items_unknown(items: &Items) -> Option<Answer> {
    let is_empty = match items {
        Items::Expression(_) => {
            let why = "its items are known once it begins".to_owned();
            return Some((PlanAnswer::Depends, why, Vec::new()));
        }
        Items::Literal(items) => items.is_empty(),
        Items::Range(count) => *count == 0,
    };
    is_empty.then(|| (PlanAnswer::Skipped, "it has no items".into(), Vec::new()))
}

/// Why results of a step are not kept.
pub fn not_kept(node: &Node) -> String {
    match node.effect {
        Effect::Pure => "its results are not kept: cache is false".into(),
        Effect::Idempotent => "it is idempotent, and only pure steps are reused".into(),
        Effect::Once => "it acts once, and only pure steps are reused".into(),
    }
}

fn keyed(node: &Node, key: &StepKey, known: &Known<'_>) -> Answer {
    if (known.result)(&key.digest) { cached() } else { unknown(node, key, known) }
}

/// A step whose key has no result.
fn unknown(node: &Node, key: &StepKey, known: &Known<'_>) -> Answer {
    match (known.nearest)(&node.id) {
        None => (PlanAnswer::Runs, "it has no result yet".into(), Vec::new()),
        Some(before) => {
            let mut parts = changed(&key.parts, &before);
            let why = explain(&parts);
            parts.truncate(CHANGED_MAX);
            (PlanAnswer::Runs, why, parts)
        }
    }
}

/// Parts that changed, in words.
pub fn explain(parts: &[String]) -> String {
    match parts {
        [] => "its former result is gone".into(),
        [one] => format!("{} changed", word(one)),
        [one, two] => format!("{} and {} changed", word(one), word(two)),
        [one, rest @ ..] => format!("{} and {} more changed", word(one), rest.len()),
    }
}

fn depends(plan: &Plan, node: &Node) -> Answer {
    let read: Vec<&str> = node
        .reads
        .iter()
        .filter_map(|read| plan.nodes.get(*read as usize))
        .map(|node| node.id.as_str())
        .collect();
    let why = match (read.as_slice(), &node.for_each) {
        ([], Some(for_each)) => match &for_each.items {
            Items::Literal(items) => {
                format!("each of its {} items has a key of its own", items.len())
            }
            Items::Range(count) => format!("each of its {count} items has a key of its own"),
            Items::Expression(_) => "its items are known once it begins".into(),
        },
        ([], None) => "its key is known once the run has begun".into(),
        (read, _) => format!("its key needs what {} yields", read.join(", ")),
    };
    (PlanAnswer::Depends, why, Vec::new())
}

#[cfg(test)]
mod tests;

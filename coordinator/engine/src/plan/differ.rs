//! What differs between the keys of two runs of a step, in words and with digests.

use maestro_schemas::api::cached::ChangedPart;
use maestro_schemas::plan::{Node, Plan};
use serde_json::Value;

use super::key::{INPUT_PREFIX, Parts, changed, word};

/// The parts that differ; of a step of `plan`, whose key is made of `now`.
pub fn differences(plan: &Plan, node: &Node, now: &Parts, before: &Parts) -> Vec<ChangedPart> {
    changed(now, before)
        .into_iter()
        .map(|part| ChangedPart {
            what: word(&part),
            from: origin(plan, node, &part),
            now: now.get(&part).copied(),
            before: before.get(&part).copied(),
            part,
        })
        .collect()
}

/// The steps that a part comes from.
fn origin(plan: &Plan, node: &Node, part: &str) -> Option<String> {
    let id = |index: u32| plan.nodes.get(index as usize).map(|node| node.id.as_str());
    if let Some(path) = part.strip_prefix(INPUT_PREFIX) {
        let input = node.inputs.iter().find(|input| input.path == path)?;
        return id(input.node).map(str::to_owned);
    }
    let template = match part.split_once(':')? {
        ("with", name) => node.with.get(name).map(Value::to_string),
        ("env", name) => node.env.get(name).cloned(),
        _ => None,
    }?;
    // Where a compiled template names a step its id stands in quotes.
    let is_named = |id: &&str| {
        let ends = |at: usize| template.get(at + id.len()..).unwrap_or_default();
        template.match_indices(id).any(|(at, _)| ends(at).starts_with(['"', '\\', '\'']))
    };
    let named = node.reads.iter().filter_map(|read| id(*read)).filter(is_named);
    let named: Vec<&str> = named.collect();
    (node.templated && !named.is_empty()).then(|| named.join(", "))
}

//! How each step of a run ended, by its signed records.

use std::collections::{BTreeMap, HashMap};

use maestro_evidence::statement::run::file;
use maestro_policies::input::StepEnd;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Plan;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Unproven;
use super::proof::Proof;

/// What an attempt's record says.
#[derive(Debug, Deserialize)]
struct Attempt {
    node: u32,
    item: u32,
    visit: u32,
    outcome: String,
}

/// What a step's record says.
#[derive(Debug, Deserialize)]
struct Step {
    node: u32,
    item: u32,
    visit: u32,
    state: String,
}

/// The ends, in the plan's order.
pub(super) async fn of(proof: &Proof<'_>) -> Result<Vec<StepEnd>, Unproven> {
    let bytes = proof.file(file::PLAN).await?;
    let plan = serde_json::from_slice::<Plan>(&bytes).ok();
    let plan = plan.filter(|_| Digest::of(&bytes) == proof.manifest.predicate.plan);
    let plan =
        plan.ok_or_else(|| Unproven::broken("the run's plan is not the one that was signed"))?;
    let mut ends: HashMap<[u32; 3], String> = HashMap::new();
    for attempt in records::<Attempt>(&proof.lines(file::ATTEMPTS).await?)? {
        let Attempt { node, item, visit, outcome } = attempt;
        let end = ends.entry([node, item, visit]).or_default();
        if end != "succeeded" {
            *end = outcome;
        }
    }
    for step in records::<Step>(&proof.lines(file::STEPS).await?)? {
        ends.insert([step.node, step.item, step.visit], step.state);
    }
    Ok(by_node(&plan, ends))
}

/// A step that has items ended as the worst of them.
fn by_node(plan: &Plan, ends: HashMap<[u32; 3], String>) -> Vec<StepEnd> {
    let mut worst: BTreeMap<u32, String> = BTreeMap::new();
    for ([node, ..], end) in ends {
        let known = worst.entry(node).or_insert_with(|| end.clone());
        if (rank(&end), &end) > (rank(known), known) {
            *known = end;
        }
    }
    let nodes = (0_u32..).zip(&plan.nodes);
    nodes
        .map(|(number, node)| StepEnd {
            name: node.id.clone(),
            action: node.action.name.clone(),
            end: worst.remove(&number).unwrap_or_else(|| "none".to_owned()),
        })
        .collect()
}

const fn rank(end: &str) -> u8 {
    match end.as_bytes() {
        b"cached" => 0,
        b"succeeded" => 1,
        b"skipped" => 2,
        _ => 3,
    }
}

fn records<T: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, Unproven> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read: Result<Vec<T>, _> = lines.map(serde_json::from_slice).collect();
    read.map_err(|error| Unproven::broken(format!("a record of the run cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_with_items_ended_as_the_worst_of_them() {
        let node = |id: &str| {
            serde_json::json!({ "id": id, "stage": 0, "action": { "name": "shell" }, "pool": "build",
                "timeout_ms": 1000, "workspace": { "kind": "empty" } })
        };
        let plan = serde_json::json!({ "version": 1, "name": "app", "stages": [{ "name": "test" }],
            "nodes": [node("test/a"), node("test/b"), node("test/c")] });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let ends = [
            ([0, 0, 0], "succeeded"),
            ([0, 1, 0], "cancelled"),
            ([0, 2, 0], "cached"),
            ([1, 0, 0], "cached"),
            ([1, 1, 0], "succeeded"),
        ];
        let ends = ends.into_iter().map(|(step, end)| (step, end.to_owned())).collect();
        let found: Vec<String> = by_node(&plan, ends).into_iter().map(|step| step.end).collect();
        assert_eq!(found, ["cancelled", "succeeded", "none"]);
    }
}

//! Small random plans: chains, diamonds, fan-outs, conditions, retries, clean-up.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::action::Effect;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::plan::{
    ActionRef, ForEach, InputArtifact, Items, Node, OutputArtifact, PLAN_VERSION, Plan, Priority,
    Resources, RetryPolicy, Stage, StepKey, Workspace,
};
use serde_json::{Value, json};

use crate::dice::Dice;

/// The pools that plans name and workers serve.
pub const POOLS: [&str; 2] = ["build", "llm"];

/// The role of the one artifact that some steps make.
pub const ROLE: &str = "out";

/// A plan of some shape; `number` keeps the names of a seed's plans apart.
pub fn random(dice: &mut Dice, number: u64, items_max: u64) -> CheckedPlan {
    let count = dice.between(1, 7) as u32;
    let mut nodes: Vec<Node> = Vec::new();
    for index in 0..count {
        let node = ordinary(dice, &nodes, index, (number, items_max));
        nodes.push(node);
    }
    if dice.chance(300) {
        nodes.push(clean_up(dice, count, number));
    }
    let outputs = match dice.chance(300) {
        true => [("result".to_owned(), json!("{{ steps['s/n0'].outputs.n }}"))].into(),
        false => BTreeMap::new(),
    };
    CheckedPlan::check(Plan {
        version: PLAN_VERSION,
        name: format!("plan-{number}"),
        pipeline_version: None,
        inputs: [("list".to_owned(), json!(["a", "b", "c"]))].into(),
        facts: BTreeMap::new(),
        stages: vec![Stage { name: "s".into() }],
        nodes,
        outputs,
        unresolved: Vec::new(),
        warnings: Vec::new(),
    })
    .expect("the generator makes sound plans")
}

fn ordinary(dice: &mut Dice, former: &[Node], index: u32, (number, items_max): (u64, u64)) -> Node {
    let mut node = plain(dice, index, number);
    for need in (0..index).rev().take(3).filter(|_| dice.chance(450)) {
        node.needs.insert(0, need);
    }
    if let Some(source) = node.needs.first().copied() {
        read(dice, &mut node, former, source);
    }
    if node.for_each.is_none() && dice.chance(250) {
        fan_out(dice, &mut node, items_max);
    }
    if node.condition.is_none() && dice.chance(150) {
        let known = ["always()", "failure()", "cancelled()", "success()", "not failure()"];
        node.condition = Some((*dice.pick(&known)).to_owned());
    }
    if node.for_each.is_none() && dice.chance(250) {
        node.effect = Effect::Pure;
        node.cached = true;
        node.key = Some(StepKey {
            digest: Digest::of(format!("{number}/{}", node.id).as_bytes()),
            parts: BTreeMap::new(),
        });
    }
    if node.for_each.is_some() && dice.chance(350) {
        keep_items(&mut node, number);
    }
    node
}

/// Lets the results of a fan-out's items be kept, each under a key of its own.
fn keep_items(node: &mut Node, number: u64) {
    node.effect = Effect::Pure;
    node.cached = true;
    node.salt = Some(format!("{number}/{}", node.id));
    node.templated = true;
    if let Some(with) = node.with.as_object_mut() {
        with.insert("item".into(), json!("{{ item }}"));
    }
}

/// Lets a node use what a former one makes, in one of several ways.
fn read(dice: &mut Dice, node: &mut Node, former: &[Node], source: u32) {
    let from = &former[source as usize];
    let whole = from.for_each.is_none();
    let id = &from.id;
    match dice.below(8) {
        0 if whole => node.condition = Some(format!("steps['{id}'].outputs.n > 1")),
        1 if whole => {
            node.templated = true;
            node.with = json!({ "n": format!("{{{{ steps['{id}'].outputs.n }}}}") });
        }
        2 | 6 | 7 if whole && !from.outputs.is_empty() => {
            node.inputs.push(InputArtifact { node: source, role: ROLE.into(), path: "in".into() })
        }
        3 if whole => {
            let items = Items::Expression(format!("steps['{id}'].outputs.list"));
            node.for_each = Some(ForEach { items, parallel_max: None, fail_fast: false });
        }
        4 if !whole => {
            node.templated = true;
            node.with = json!({ "n": format!("{{{{ steps['{id}'].outputs | length }}}}") });
        }
        5 if !whole => {
            let items = Items::Expression(format!("steps['{id}'].outputs | length"));
            node.for_each = Some(ForEach { items, parallel_max: None, fail_fast: false });
        }
        _ => return,
    }
    node.reads.push(source);
}

fn fan_out(dice: &mut Dice, node: &mut Node, items_max: u64) {
    let items = match dice.below(3) {
        0 => Items::Range(dice.between(0, items_max) as u32),
        1 => Items::Literal((0..dice.between(1, 5)).map(Value::from).collect()),
        _ => Items::Expression("inputs.list".into()),
    };
    let parallel_max =
        if dice.chance(400) { NonZeroU32::new(dice.between(1, 3) as u32) } else { None };
    node.for_each = Some(ForEach { items, parallel_max, fail_fast: dice.chance(300) });
}

fn clean_up(dice: &mut Dice, index: u32, number: u64) -> Node {
    let mut node = plain(dice, index, number);
    node.finally = true;
    node.allow_failure = false;
    if dice.chance(400) {
        node.condition = Some((*dice.pick(&["always()", "failure()", "cancelled()"])).to_owned());
    }
    node
}

fn plain(dice: &mut Dice, index: u32, number: u64) -> Node {
    let outputs = match dice.chance(650) {
        true => vec![OutputArtifact { role: ROLE.into(), path: "o".into(), optional: false }],
        false => Vec::new(),
    };
    Node {
        id: format!("s/n{index}"),
        stage: 0,
        action: ActionRef { name: "sim.step".into(), version: None },
        pool: dice.pick(&POOLS).parse().expect("a name"),
        with: json!({ "plan": number }),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        templated: false,
        needs: Vec::new(),
        reads: Vec::new(),
        condition: None,
        for_each: None,
        effect: if dice.chance(60) { Effect::Once } else { Effect::Idempotent },
        key: None,
        cached: false,
        salt: None,
        timeout_ms: dice.between(1_000, 6_000),
        retry: RetryPolicy {
            retries_max: dice.below(4) as u32,
            delay_ms: *dice.pick(&[0, 0, 50, 1_000, 4_000]),
            factor: 2.0,
            delay_ms_max: 8_000,
            on: vec![FailureClass::Transient, FailureClass::Throttled],
        },
        priority: *dice.pick(&Priority::ALL),
        concurrency: None,
        resources: Resources::default(),
        isolation: None,
        network: None,
        beside: Default::default(),
        budget_microusd: None,
        allow_failure: dice.chance(150),
        finally: false,
        workspace: Workspace::Empty,
        inputs: Vec::new(),
        outputs,
    }
}

//! The plans that are measured.

use std::collections::BTreeMap;

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::action::Effect;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::{
    ActionRef, ForEach, Items, Node, PLAN_VERSION, Plan, Priority, Resources, RetryPolicy, Stage,
    Workspace,
};
use serde_json::json;

use super::noop;
use crate::error::Error;

/// How many bytes of parameters each step gets.
const WITH_BYTES: usize = 256;

/// What a run of the measurement looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// So many steps, one after the other.
    Chain(u32),
    /// One fan-out of so many items.
    FanOut(u32),
}

impl Shape {
    /// How many steps a run of it has.
    pub const fn steps(self) -> u32 {
        match self {
            Self::Chain(steps) | Self::FanOut(steps) => steps,
        }
    }

    /// The plan.
    pub fn plan(self) -> Result<CheckedPlan, Error> {
        let pool: PoolName =
            noop::POOL.parse().map_err(|source| Error::service("name the pool", source))?;
        let nodes = match self {
            Self::Chain(steps) => (0..steps).map(|index| node(index, &pool, None)).collect(),
            Self::FanOut(items) => vec![node(0, &pool, Some(items))],
        };
        let plan = Plan {
            version: PLAN_VERSION,
            name: "bench".to_owned(),
            pipeline_version: None,
            inputs: BTreeMap::new(),
            facts: BTreeMap::new(),
            stages: vec![Stage { name: "bench".to_owned() }],
            nodes,
            outputs: BTreeMap::new(),
            unresolved: Vec::new(),
            warnings: Vec::new(),
        };
        CheckedPlan::check(plan).map_err(|source| Error::service("check the plan", source))
    }
}

fn node(index: u32, pool: &PoolName, items: Option<u32>) -> Node {
    Node {
        id: format!("bench/step-{index}"),
        stage: 0,
        action: ActionRef { name: noop::ACTION.to_owned(), version: Some("1".to_owned()) },
        pool: pool.clone(),
        with: json!({ "padding": "x".repeat(WITH_BYTES - 16) }),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        templated: false,
        needs: index.checked_sub(1).into_iter().collect(),
        reads: Vec::new(),
        condition: None,
        for_each: items.map(|count| ForEach {
            items: Items::Range(count),
            parallel_max: None,
            fail_fast: false,
        }),
        effect: Effect::Idempotent,
        key: None,
        cached: false,
        salt: None,
        timeout_ms: 60_000,
        retry: RetryPolicy::default(),
        priority: Priority::Normal,
        concurrency: None,
        resources: Resources::default(),
        isolation: None,
        network: None,
        budget_microusd: None,
        allow_failure: false,
        finally: false,
        workspace: Workspace::Empty,
        inputs: Vec::new(),
        outputs: Vec::new(),
        beside: Default::default(),
    }
}

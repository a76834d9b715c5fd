//! Rows of every kind, as a fold would make them.

use std::collections::BTreeMap;

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::*;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CoordinatorId, ExecutionId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::{Failure, FailureClass, Outputs};
use maestro_schemas::plan::Plan;
use maestro_schemas::report::{ModelCall, Usage};
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use maestro_server::store;
use serde_json::json;

use super::postgres::Database;

pub fn project() -> ProjectName {
    "demo".parse().unwrap()
}

/// A plan of a step, a fan-out of four, and a step after it.
pub fn plan() -> CheckedPlan {
    plan_named("ci")
}

pub fn plan_named(name: &str) -> CheckedPlan {
    let node = |id: &str, needs: &[u32]| {
        json!({ "id": id, "stage": 0, "action": { "name": "shell" }, "pool": "build",
                "needs": needs, "timeout_ms": 60_000 })
    };
    let mut each = node("main/each", &[0]);
    each["for_each"] = json!({ "items": { "range": 4 } });
    let plan = json!({ "version": 1, "name": name, "stages": [{ "name": "main" }],
                       "inputs": { "ratio": 1e16 },
                       "nodes": [node("main/first", &[]), each, node("main/last", &[1])] });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    CheckedPlan::check(plan).unwrap()
}

pub fn token(number: u32) -> AttemptToken {
    AttemptToken { number, epoch: 1 }
}

pub fn artifact(role: &str, bytes: &[u8]) -> Artifact {
    Artifact {
        role: role.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        media_type: "text/plain".to_owned(),
    }
}

pub fn outputs() -> Outputs {
    // Numbers and letters that a database likes to tidy.
    Outputs::from([
        ("zero\u{0}byte".to_owned(), json!("a\u{0}b")),
        ("large".to_owned(), json!(1e16)),
        ("nested".to_owned(), json!({ "b": [1, 2.0, null], "a": "ü\u{1F600}" })),
    ])
}

pub fn run_row(id: RunId) -> RunRow {
    RunRow {
        id,
        project: project(),
        shard: 0,
        pipeline: "ci".to_owned(),
        state: RunState::Running,
        plan: plan().digest(),
        labels: BTreeMap::from([("branch".to_owned(), "main".to_owned())]),
        rerun: None,
        created_at_ms: 1_000,
        batch: 1,
        steps_total: 6,
    }
}

pub fn run_change(id: RunId, batch: u64, state: RunState) -> RunChange {
    RunChange {
        id,
        batch,
        state,
        cause: Some("main/first: exit 1".to_owned()),
        cancel_reason: Some("enough".to_owned()),
        cancelled_again: true,
        counts: RunCounts {
            steps_total: 6,
            steps_ended: 5,
            steps_failed: 1,
            steps_cached: 2,
            cost_microusd: 7,
            work_ms: 8,
        },
        outputs: BTreeMap::from([
            ("ratio".to_owned(), json!(1e16)),
            ("nul".to_owned(), json!("\u{0}")),
        ]),
        ended_at_ms: state.is_final().then_some(9_000),
    }
}

pub fn dispatch_row(run: RunId, step: StepAddress, number: u32) -> DispatchRow {
    DispatchRow {
        run,
        step,
        shard: 0,
        token: token(number),
        lapses: 1,
        pool: "build".parse().unwrap(),
        project: project(),
        priority: 2,
        decided_at_ms: 2_000,
    }
}

pub fn attempt_row(run: RunId, step: StepAddress, number: u32) -> AttemptRow {
    AttemptRow {
        run,
        step,
        shard: 0,
        token: token(number),
        batch: 2,
        state: StepState::Succeeded,
        outcome: AttemptOutcome::Succeeded,
        decided_at_ms: 2_000,
        ended_at_ms: 3_000,
        execution: Some(ExecutionId::generate()),
        worker: Some("wkr_x".to_owned()),
        usage: Usage { wall_ms: 40, cpu_ms: 30, cost_microusd: 5 },
        failure: None,
        outputs: outputs(),
        artifacts: vec![artifact("log", b"all of it")],
    }
}

pub fn call_row(run: RunId, step: StepAddress, cost_microusd: u64) -> CallRow {
    CallRow {
        execution: ExecutionId::generate(),
        ordinal: 0,
        run,
        project: project(),
        pipeline: "demo".to_owned(),
        stage: "main".to_owned(),
        node_id: "main/first".to_owned(),
        step,
        attempt: 1,
        batch: 1,
        at_ms: 2_000,
        call: ModelCall {
            deployment: Some("eu".to_owned()),
            prompt: Some(Digest::of(b"prompt")),
            input_tokens: 10,
            output_tokens: 4,
            settled: true,
            wall_ms: 20,
            ..ModelCall::begun("gpt-4o-mini", Digest::of(b"request"), cost_microusd)
        },
    }
}

pub fn failed(mut row: AttemptRow, state: StepState) -> AttemptRow {
    row.state = state;
    row.outcome = AttemptOutcome::Failed;
    row.failure = Some(Failure::new(FailureClass::Transient, "broke \u{0} in two"));
    row.outputs = Outputs::new();
    row
}

pub fn step_row(run: RunId, step: StepAddress, state: StepState) -> StepRow {
    StepRow {
        run,
        step,
        batch: 2,
        state,
        reason: "its condition was false".to_owned(),
        blocks: false,
        ended_at_ms: 3_000,
        outputs: outputs(),
        artifacts: vec![artifact("package", b"bytes")],
    }
}

pub fn fanout_row(run: RunId, node: u32) -> FanoutRow {
    FanoutRow {
        run,
        node,
        batch: 2,
        count: 4,
        cursor: 3,
        items: Some(vec![json!("a\u{0}"), json!({ "n": 1.0 }), json!(2), json!(null)]),
        closed: true,
        reused: Some(vec![0b1000]),
    }
}

pub fn timer_row(run: RunId, step: StepAddress) -> TimerRow {
    TimerRow { run, step, attempt: 2, lapses: 1, due_at_ms: 5_000 }
}

pub fn result_row(key: &[u8], run: RunId) -> ResultRow {
    ResultRow {
        project: project(),
        key: Digest::of(key),
        step: "main/first".to_owned(),
        pipeline: "ci".to_owned(),
        parts: BTreeMap::from([("with".to_owned(), Digest::of(key))]),
        run,
        outputs: outputs(),
        artifacts: vec![artifact("package", b"bytes")],
    }
}

/// A batch of shard 0 in its first epoch.
pub fn batch(number: u64) -> Commit {
    Commit {
        shards: vec![ShardAdvance { shard: 0, epoch: 1, batch: number, clock_ms: 1_000 * number }],
        ..Commit::default()
    }
}

/// Four shards, the first of them taken once, and the plan stored.
pub async fn laid_out() -> Database {
    let database = Database::new().await;
    let mut conn = database.conn().await;
    store::shard::ensure_shards(&mut conn, 4).await.unwrap();
    store::shard::acquire(&mut conn, 0, "one", CoordinatorId::generate()).await.unwrap().unwrap();
    store::plan::store(&mut conn, &project(), &plan()).await.unwrap();
    database
}

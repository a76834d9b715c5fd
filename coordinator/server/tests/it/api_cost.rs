//! What calls cost, summed up over HTTP: how far back, by what, in which order.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maestro_engine::shard::commit::Commit;
use maestro_schemas::api::cost::{By, CostReport, SETTLEMENTS_MAX};
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::report::CALLS_MAX;
use maestro_schemas::step::StepAddress;
use maestro_server::routing::Options;
use maestro_server::store::settlement;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::rows::*;
use crate::support::stack::{Stack, read};

const STEP: StepAddress = StepAddress { node: 0, item: 0, visit: 0 };
const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// A stack with a call a day as old as each of these, in days; each dearer than the one before.
async fn stack(run: RunId, days: &[u64]) -> (Stack, u64) {
    let stack = Stack::with_router(Options::default()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let now_ms = u64::try_from(now.as_millis()).unwrap();
    let mut calls = Vec::new();
    for (place, days) in days.iter().enumerate() {
        let mut call = call_row(run, STEP, 100 * (place as u64 + 1));
        call.at_ms = now_ms - days * DAY_MS;
        calls.push(call);
    }
    let commit = Commit { calls, ..batch(1) };
    stack.database.fold().commit(&commit).await.unwrap();
    (stack, now_ms)
}

#[tokio::test]
async fn costs_are_of_the_last_thirty_days_where_nobody_says_how_far_back() {
    let run = RunId::generate();
    let (stack, now_ms) = stack(run, &[1, 29, 31]).await;
    let path = "/v1/projects/demo/cost";
    let report: CostReport = stack.get(path).await;
    assert_eq!((report.rows[0].calls, report.rows[0].cost_microusd), (2, 300));
    assert!(now_ms - report.since_ms <= 30 * DAY_MS);
    let all: CostReport = stack.get(&format!("{path}?since_ms=0")).await;
    assert_eq!((all.rows[0].calls, all.since_ms), (3, 0));
    let of_run: CostReport = stack.get(&format!("{path}?run={run}")).await;
    assert_eq!((of_run.rows[0].calls, of_run.since_ms), (3, 0));
    let before = now_ms - 30 * DAY_MS;
    let former: CostReport = stack.get(&format!("{path}?until_ms={before}")).await;
    assert_eq!((former.rows[0].calls, former.since_ms), (1, before - 30 * DAY_MS));
}

#[tokio::test]
async fn days_stand_in_their_order_and_the_last_ones_where_there_are_too_many() {
    let (stack, _) = stack(RunId::generate(), &[1, 3, 2, 2]).await;
    let path = "/v1/projects/demo/cost?by=day";
    let report: CostReport = stack.get(path).await;
    let costs: Vec<u64> = report.rows.iter().map(|row| row.cost_microusd).collect();
    assert_eq!((report.by, costs), (By::Day, vec![200, 700, 100]));
    assert!(report.rows.is_sorted_by_key(|row| row.about.clone()), "{report:?}");
    let last: CostReport = stack.get(&format!("{path}&limit=2")).await;
    let costs: Vec<u64> = last.rows.iter().map(|row| row.cost_microusd).collect();
    assert_eq!(costs, [700, 100]);
}

/// A gateway's word on the first call of an execution.
fn word(execution: ExecutionId) -> Value {
    json!({ "execution": execution, "ordinal": 0, "input_tokens": 3, "output_tokens": 2, "cost_microusd": 40 })
}

#[tokio::test]
async fn a_gateways_report_settles_a_call_and_only_an_administrator_may_tell_it() {
    const PATH: &str = "/v1/projects/demo/cost/settlements";
    let run = RunId::generate();
    let (stack, now_ms) = stack(run, &[]).await;
    let mut call = call_row(run, STEP, 900);
    (call.at_ms, call.call.settled) = (now_ms, false);
    let execution = call.execution;
    let commit = Commit { calls: vec![call], ..batch(2) };
    stack.database.fold().commit(&commit).await.unwrap();
    let told = json!({ "settlements": [word(execution)] });

    let operator = stack.new_token(&[("demo", "operator")]).await;
    let address = format!("{}{PATH}", stack.address);
    let refused = stack.http.post(address).bearer_auth(operator).json(&told).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert_eq!(stack.database.count("settlement").await, 0);

    let taken = stack.post(PATH, &told).await;
    assert_eq!(taken.status(), StatusCode::NO_CONTENT);
    let day = Duration::from_secs(24 * 3_600);
    let settled = settlement::apply(&mut stack.database.conn().await, day).await.unwrap();
    let report: CostReport = stack.get("/v1/projects/demo/cost").await;
    let row = &report.rows[0];
    assert_eq!((settled, row.cost_microusd, row.input_tokens, row.unsettled), (1, 40, 3, 0));
}

#[tokio::test]
async fn a_gateways_report_that_cannot_be_is_refused_whole() {
    const PATH: &str = "/v1/projects/demo/cost/settlements";
    let stack = Stack::with_router(Options::default()).await;
    let with = |key: &str, value: u64| {
        let mut one = word(ExecutionId::generate());
        one[key] = json!(value);
        json!({ "settlements": [word(ExecutionId::generate()), one] })
    };
    let most = vec![word(ExecutionId::generate()); SETTLEMENTS_MAX + 1];
    for (body, expected) in [
        (json!({ "settlements": most }), "expected at most"),
        (with("ordinal", CALLS_MAX as u64), "entry 1: expected an ordinal below"),
        (with("cost_microusd", 1_000_000_000_001), "entry 1"),
        (with("input_tokens", u64::MAX), "entry 1"),
    ] {
        let problem: Value = read(stack.post(PATH, &body).await, StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(expected), "{problem}");
    }
    assert_eq!(stack.database.count("settlement").await, 0);
}

//! A run from its submission to its end, with a coordinator behind the API.

use maestro_schemas::api::plans::{PlanAnswer, PlanStored};
use maestro_schemas::api::problem::Problem;
use maestro_schemas::api::runs::{RunDetail, RunPage, SubmitResponse, WhyReport};
use maestro_schemas::step::RunState;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::rows;
use crate::support::stack::{Stack, read};

const RUNS: &str = "/v1/projects/demo/runs";

async fn stored(stack: &Stack) -> PlanStored {
    let plan = serde_json::to_value(rows::plan().plan()).unwrap();
    read(stack.post("/v1/projects/demo/plans", &plan).await, StatusCode::OK).await
}

async fn submitted(stack: &Stack, body: &Value) -> SubmitResponse {
    read(stack.post(RUNS, body).await, StatusCode::CREATED).await
}

#[tokio::test]
async fn a_stored_plan_tells_what_would_run_and_comes_back_as_it_was() {
    let stack = Stack::without_coordinator().await;
    let stored = stored(&stack).await;
    assert_eq!(stored.digest, rows::plan().digest());
    assert_eq!(stored.steps.len(), 3);
    assert!(stored.steps.iter().all(|step| step.answer == PlanAnswer::Runs));
    let plan: maestro_schemas::plan::Plan =
        stack.get(&format!("/v1/projects/demo/plans/{}", stored.digest)).await;
    assert_eq!(plan.digest().unwrap(), stored.digest);
    let token = stack.new_token(&[("other", "viewer")]).await;
    let path = format!("{}/v1/projects/other/plans/{}", stack.address, stored.digest);
    let foreign = stack.http.get(path).bearer_auth(token).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_submission_is_answered_once_its_run_is_committed() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let response =
        submitted(&stack, &json!({ "plan": plan, "labels": { "branch": "main" } })).await;
    assert!(response.committed && !response.repeated);
    let run: RunDetail = stack.get(&format!("{RUNS}/{}", response.run)).await;
    assert_eq!(
        (run.summary.state, run.summary.plan, run.summary.steps_total),
        (RunState::Running, plan, 6)
    );
    assert_eq!(run.summary.labels["branch"], "main");
    assert_eq!(run.inputs["ratio"], json!(1e16));
    let why: WhyReport = stack.get(&format!("{RUNS}/{}/why", response.run)).await;
    assert!(why.waiting.iter().any(|waiting| waiting.step == "main/first"), "{why:?}");
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_any_more_is_refused_and_not_asked_for_again() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let spoilt = sqlx::query("update plan set body = '{}'");
    spoilt.execute(&mut stack.database.conn().await).await.unwrap();
    let answer = stack.post(RUNS, &json!({ "plan": plan })).await;
    let problem: Problem = read(answer, StatusCode::CONFLICT).await;
    assert_eq!(problem.code, "MAE-3001");
}

#[tokio::test]
async fn a_pipelines_text_is_compiled_by_the_server() {
    let stack = Stack::with_coordinator().await;
    let text = "name: ci\nstages:\n  - name: build\n    steps:\n      - run: shell\n        with: { command: 'true' }\n";
    let response = submitted(&stack, &json!({ "pipeline": text })).await;
    let run: RunDetail = stack.get(&format!("{RUNS}/{}", response.run)).await;
    assert_eq!(run.summary.pipeline, "ci");
    let problem: Problem = read(
        stack.post(RUNS, &json!({ "pipeline": "name: [" })).await,
        StatusCode::UNPROCESSABLE_ENTITY,
    )
    .await;
    assert!(problem.detail.contains("pipeline:2:1: MAE-1001"), "{}", problem.detail);
}

#[tokio::test]
async fn the_same_key_and_request_are_one_run_and_another_request_is_refused() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let body = json!({ "plan": plan, "idempotency_key": "k-1" });
    let tries = (0..6).map(|_| stack.post(RUNS, &body));
    let mut runs = std::collections::BTreeSet::new();
    for answer in futures::future::join_all(tries).await {
        assert!(answer.status().is_success(), "{}", answer.status());
        let response: SubmitResponse =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        runs.insert(response.run);
    }
    assert_eq!(runs.len(), 1);
    let again: SubmitResponse = read(stack.post(RUNS, &body).await, StatusCode::OK).await;
    assert!(again.repeated && again.committed);
    let in_header = stack
        .request(Method::POST, RUNS)
        .header("idempotency-key", "k-1")
        .json(&json!({ "plan": plan }));
    assert_eq!(in_header.send().await.unwrap().status(), StatusCode::OK);
    let other = json!({ "plan": plan, "idempotency_key": "k-1", "labels": { "a": "b" } });
    let problem: Problem = read(stack.post(RUNS, &other).await, StatusCode::CONFLICT).await;
    assert_eq!(problem.code, "MAE-2010");
    assert_eq!(stack.database.count("run").await, 1);
}

#[tokio::test]
async fn a_plan_that_is_not_stored_is_not_found() {
    let stack = Stack::without_coordinator().await;
    let plan = format!("sha256:{}", "0".repeat(64));
    let problem: Problem =
        read(stack.post(RUNS, &json!({ "plan": plan })).await, StatusCode::NOT_FOUND).await;
    assert_eq!(problem.code, "MAE-2005");
    let both = stack.post(RUNS, &json!({})).await;
    assert_eq!(both.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn without_an_owner_a_submission_is_taken_and_not_known() {
    let stack = Stack::without_coordinator().await;
    let plan = stored(&stack).await.digest;
    let response: SubmitResponse =
        read(stack.post(RUNS, &json!({ "plan": plan })).await, StatusCode::ACCEPTED).await;
    assert!(!response.committed);
}

#[tokio::test]
async fn a_cancelled_run_ends_and_a_second_cancellation_is_refused() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let run = submitted(&stack, &json!({ "plan": plan })).await.run;
    let answer = stack.post(&format!("{RUNS}/{run}/cancel"), &json!({ "reason": "enough" })).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let events = stack.request(Method::GET, &format!("{RUNS}/{run}/events")).send().await.unwrap();
    let text = events.text().await.unwrap();
    assert!(text.contains("\"state\":\"cancelled\""), "{text}");
    let detail: RunDetail = stack.get(&format!("{RUNS}/{run}")).await;
    assert_eq!(detail.summary.state, RunState::Cancelled);
    let again: Problem =
        read(stack.post(&format!("{RUNS}/{run}/cancel"), &json!({})).await, StatusCode::CONFLICT)
            .await;
    assert_eq!(again.code, "MAE-3003");
    let rerun: SubmitResponse = read(
        stack.post(&format!("{RUNS}/{run}/rerun"), &json!({ "failed": true })).await,
        StatusCode::CREATED,
    )
    .await;
    let detail: RunDetail = stack.get(&format!("{RUNS}/{}", rerun.run)).await;
    assert_eq!(detail.summary.rerun_of, Some(run));
}

#[tokio::test]
async fn pages_hold_every_run_once_and_filters_narrow_them() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let mut expected = Vec::new();
    for number in 0..7 {
        let labels =
            json!({ "parity": if number % 2 == 0 { "even" } else { "odd" }, "all": "yes" });
        expected.push(submitted(&stack, &json!({ "plan": plan, "labels": labels })).await.run);
    }
    expected.reverse();
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: RunPage = stack.get(&format!("{RUNS}?limit=3{cursor}")).await;
        found.extend(page.runs.iter().map(|run| run.id));
        let Some(next) = page.next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(found, expected);
    let count =
        async |query: &str| stack.get::<RunPage>(&format!("{RUNS}?{query}")).await.runs.len();
    assert_eq!(count("label=parity%3Dodd&label=all%3Dyes").await, 3);
    assert_eq!(count("state=running&pipeline=ci").await, 7);
    assert_eq!(count("state=failed").await, 0);
    assert_eq!(count("pipeline=other").await, 0);
}

#[tokio::test]
async fn another_projects_run_is_not_there() {
    let stack = Stack::with_coordinator().await;
    let plan = stored(&stack).await.digest;
    let run = submitted(&stack, &json!({ "plan": plan })).await.run;
    let token = stack.new_token(&[("other", "admin")]).await;
    for rest in ["", "/why", "/steps", "/attempts", "/artifacts", "/events", "/steps/0-0-0/log"] {
        let path = format!("{}/v1/projects/other/runs/{run}{rest}", stack.address);
        let answer = stack.http.get(path).bearer_auth(&token).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{rest}");
    }
    for rest in ["/cancel", "/rerun"] {
        let path = format!("{}/v1/projects/other/runs/{run}{rest}", stack.address);
        let answer =
            stack.http.post(path).bearer_auth(&token).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{rest}");
    }
}

//! Several processes that answer for the router: what one is told all learn, once, and no worker can speak
//! for one.

use std::time::Duration;

use maestro_schemas::api::route::{Outcomes, RouteAnswer, RouteQuestion, Scored, Shared};
use maestro_schemas::call::CallOutcome;
use maestro_schemas::codec;
use maestro_schemas::id::{CoordinatorId, DecisionId};
use maestro_schemas::route::{Choice, Purpose, RouteRequest};
use maestro_server::routing::Routing;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::fleet::*;
use crate::support::question::{ask, files};
use crate::support::stack::{Stack, read};

const ALLOW: &str = "package maestro.routing\n\nallow := true\n";

/// A stack and another process that hear each other.
async fn two() -> (tempfile::TempDir, Stack, Routing) {
    let (dir, options) = files(Some(CONFIG), &[("routing.rego", ALLOW)]);
    let stack = Stack::with_router(options.clone()).await;
    let other = other(&stack, options).await;
    acquainted(&stack, &other).await;
    (dir, stack, other)
}

/// What another process believes of a model's answers.
fn quality(routing: &Routing, model: &str) -> f64 {
    choice(routing, request(Some(model), None)).slo_forecast.p_quality
}

fn outcome(deployment: &str, class: &str, decision: Option<DecisionId>) -> Value {
    json!({
        "deployment": deployment, "class": class, "at_ms": now_ms(), "latency_ms": 1,
        "decision_id": decision,
    })
}

fn scored(deployment: &str, score: f64) -> Scored {
    Scored { deployment: deployment.to_owned(), topic: None, score }
}

fn is_excluded(choice: &Choice, deployment: &str, rule: &str) -> bool {
    let excluded = &choice.rationale.excluded;
    excluded.iter().any(|one| one.deployment == deployment && one.rule == rule)
}

/// Whether both processes leave `at-own` out for this rule.
async fn both_exclude(stack: &Stack, other: &Routing, rule: &str) -> [bool; 2] {
    let any = request(None, None);
    let here = choice_of(stack, &any).await;
    [here, choice(other, any)].map(|choice| is_excluded(&choice, "at-own", rule))
}

async fn told(stack: &Stack, path: &str, body: Value) -> Value {
    read(tell(stack, path, &body).await, StatusCode::OK).await
}

#[tokio::test]
async fn what_one_process_is_told_is_learnt_by_all() {
    let (_dir, stack, other) = two().await;
    let before = quality(&other, "own");
    let scores = json!({ "scores": vec![scored("at-own", 0.0); 300] });
    assert_eq!(told(&stack, "/route/scores", scores).await["learnt"], 300);
    until("the other process has heard of the scores", async || {
        quality(&other, "own") < before / 2.0
    })
    .await;
    let outcomes = json!({ "outcomes": vec![outcome("at-own", "connection", None); 3] });
    assert_eq!(told(&stack, "/route/outcomes", outcomes).await["learnt"], 3);
    until("the other process has heard of the calls", async || {
        both_exclude(&stack, &other, "maestro.breaker.open").await == [true, true]
    })
    .await;
}

#[tokio::test]
async fn what_a_process_was_told_it_learns_once_though_its_own_words_come_back() {
    let (_dir, stack, other) = two().await;
    let before = quality(&other, "own");
    let scores = json!({ "scores": vec![scored("at-own", 0.0); 10] });
    told(&stack, "/route/scores", scores).await;
    let outcomes = json!({ "outcomes": vec![outcome("at-own", "ok", None); 3] });
    told(&stack, "/route/outcomes", outcomes).await;
    until("the other process has heard", async || {
        let choice = choice(&other, request(Some("own"), None));
        choice.slo_forecast.p_quality < before && choice.slo_forecast.p_success > 0.95
    })
    .await;
    // What the other says after that is heard after the first one's own words.
    other.share(&[], &[scored("at-other", 0.0)]);
    let of_other = request(Some("other"), None);
    until("the first process has heard the other", async || {
        choice_of(&stack, &of_other).await.slo_forecast.p_quality < 0.69
    })
    .await;
    let here = choice_of(&stack, &request(Some("own"), None)).await.slo_forecast.p_quality;
    assert!((here - quality(&other, "own")).abs() < 1e-9, "{here}");
    let metrics = stack.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("maestro_model_calls_total{result=\"ok\"} 3\n"), "{metrics}");
}

#[tokio::test]
async fn a_call_counts_as_under_way_in_all_processes_until_one_is_told_what_became_of_it() {
    let (_dir, stack, other) = two().await;
    let counted = RouteRequest { counted: true, ..request(Some("own"), None) };
    let begin = async |by_http: bool| {
        let id = if by_http {
            let decision = told(&stack, "/route/choose", json!(counted)).await;
            decision["decision_id"].as_str().unwrap().parse().unwrap()
        } else {
            match ask(&stack, json!(counted), None).await {
                RouteAnswer::Decided { decision } => decision.decision_id,
                other => panic!("expected a decision: {other:?}"),
            }
        };
        until("the call is under way everywhere", async || {
            both_exclude(&stack, &other, "maestro.limit.concurrency").await == [true, true]
        })
        .await;
        id
    };
    let ended = async || {
        until("the call has ended everywhere", async || {
            both_exclude(&stack, &other, "maestro.limit.concurrency").await == [false, false]
        })
        .await;
    };
    let worker = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    let by_bus = async |outcomes: Outcomes| {
        let bytes = codec::encode(&outcomes).unwrap();
        worker.tell(subject::rpc("route", "learn").unwrap(), bytes.into()).await;
    };
    let (none, unmade) = (Vec::new(), begin(false).await);
    by_bus(Outcomes { outcomes: none, unmade: vec![unmade] }).await;
    ended().await;
    let id = begin(false).await;
    let made: CallOutcome = serde_json::from_value(outcome("at-own", "ok", Some(id))).unwrap();
    by_bus(Outcomes { outcomes: vec![made], unmade: Vec::new() }).await;
    ended().await;
    let id: DecisionId = begin(true).await;
    let made = json!({ "outcomes": [outcome("at-own", "ok", Some(id))] });
    told(&stack, "/route/outcomes", made).await;
    ended().await;
    let id: DecisionId = begin(true).await;
    told(&stack, "/route/outcomes", json!({ "outcomes": [], "unmade": [id] })).await;
    ended().await;
}

#[tokio::test]
async fn no_worker_can_speak_for_a_process_that_serves_the_api() {
    let (_dir, stack, other) = two().await;
    let before = quality(&other, "own");
    let word = |scored: Scored| {
        let (from, scores) = (CoordinatorId::generate(), vec![scored; 100]);
        let shared =
            Shared { from, outcomes: Vec::new(), scores, begun: Vec::new(), unmade: Vec::new() };
        codec::encode(&shared).unwrap()
    };
    let to = || subject::rpc("route", "share").unwrap();
    let worker = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    worker.tell(to(), word(scored("at-own", 0.0)).into()).await;
    // What the same connection asks after that is answered after that.
    let question = RouteQuestion {
        project: "demo".parse().unwrap(),
        request: request(Some("other"), None),
        purpose: Purpose::default(),
    };
    let question = codec::encode(&question).unwrap();
    let asked = subject::rpc("route", "choose").unwrap();
    worker.request(asked, question.into(), Duration::from_secs(5)).await.unwrap();
    until("the word is refused", async || worker.counters().server_errors == 1).await;
    let api = stack.nats.connect(&Role::Api).await;
    api.tell(to(), word(scored("at-other", 0.0)).into()).await;
    until("what the api says after that is heard", async || quality(&other, "other") < 0.1).await;
    assert!((quality(&other, "own") - before).abs() < 1e-9, "the worker was heard");
}

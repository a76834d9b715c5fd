//! How good answers were, told to one process and learnt by all; and what is counted of decisions.

use std::time::Duration;

use maestro_router::objective::Objectives;
use maestro_schemas::api::route::{RouteAnswer, Scored, Shared};
use maestro_schemas::codec;
use maestro_schemas::id::CoordinatorId;
use maestro_schemas::route::{RouteDecision, RouteRequest};
use maestro_server::routing::{Asking, Options, Routing};
use maestro_server::rpc;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use maestro_telemetry::metrics::Metrics;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::question::{ask, files};
use crate::support::stack::{Stack, read};

const CONFIG: &str = "
model_list:
  - model_name: own
    litellm_params: { model: openai/own }
    model_info: { id: at-own }
    maestro: { quality: { default: 0.7 } }
  - model_name: other
    litellm_params: { model: other/other }
    model_info: { id: at-other }
    maestro: { quality: { default: 0.7 } }
router:
  modes: { demo: act }
";
const ALLOW: &str = "package maestro.routing\n\nallow := true\n";

async fn stack() -> (tempfile::TempDir, Options, Stack) {
    let (dir, options) = files(Some(CONFIG), &[("routing.rego", ALLOW)]);
    let stack = Stack::with_router(options.clone()).await;
    (dir, options, stack)
}

/// Another process that answers for the router, on the same servers.
async fn other(stack: &Stack, options: Options) -> Routing {
    let pool = stack.database.pool();
    let routing = Routing::start(options, pool, Metrics::new(), CancellationToken::new());
    let connection = stack.nats.connect(&Role::Api).await;
    tokio::spawn(rpc::route::run(connection, routing.clone(), CancellationToken::new()));
    routing
}

/// What a process believes of the quality of `at-own`'s answers about law.
fn quality(routing: &Routing) -> f64 {
    let request = RouteRequest {
        model: Some("own".to_owned()),
        topic: Some("law".to_owned()),
        prompt_chars: Some(40),
        ..RouteRequest::default()
    };
    let asking = Asking {
        project: "demo".parse().unwrap(),
        request,
        objectives: Objectives::default(),
        purpose: None,
        registered: None,
        now_ms: 1_000,
    };
    routing.choose(asking).unwrap().choice.slo_forecast.p_quality
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 10 s");
}

async fn tell(stack: &Stack, path: &str, body: &Value) -> reqwest::Response {
    let request = stack.request(Method::POST, path).json(body);
    request.header("x-maestro-project", "demo").send().await.unwrap()
}

async fn decided(stack: &Stack) -> RouteDecision {
    let question = json!({ "model": "own", "topic": "law", "prompt_chars": 40 });
    match ask(stack, question, None).await {
        RouteAnswer::Decided { decision } => *decision,
        other => panic!("expected a decision: {other:?}"),
    }
}

#[tokio::test]
async fn a_score_that_one_process_is_told_is_learnt_by_all() {
    let (_dir, options, stack) = stack().await;
    let other = other(&stack, options).await;
    let before = quality(&other);
    let scores = json!({ "scores": vec![json!({ "deployment": "at-own", "topic": "law", "score": 0.0 }); 300] });
    // The other may not listen yet, so it is told until it has heard.
    let mut heard = false;
    for _ in 0..100 {
        let learnt: Value =
            read(tell(&stack, "/route/scores", &scores).await, StatusCode::OK).await;
        assert_eq!(learnt["learnt"], 300);
        tokio::time::sleep(Duration::from_millis(50)).await;
        heard = quality(&other) < before / 2.0;
        if heard {
            break;
        }
    }
    assert!(heard, "the other process has not heard");
    let outcomes = json!({ "outcomes": vec![json!({
        "deployment": "at-own", "class": "connection", "at_ms": now_ms(), "latency_ms": 1,
    }); 3] });
    let told: Value = read(tell(&stack, "/route/outcomes", &outcomes).await, StatusCode::OK).await;
    assert_eq!(told["learnt"], 3);
    until("the other process has heard of the calls", || {
        let asking = Asking {
            project: "demo".parse().unwrap(),
            request: RouteRequest { prompt_chars: Some(40), ..RouteRequest::default() },
            objectives: Objectives::default(),
            purpose: None,
            registered: None,
            now_ms: now_ms(),
        };
        let choice = other.choose(asking).unwrap().choice;
        choice.rationale.excluded.iter().any(|one| one.rule == "maestro.breaker.open")
    })
    .await;
}

#[tokio::test]
async fn a_score_of_a_decision_is_of_its_deployment_and_topic() {
    let (_dir, _, stack) = stack().await;
    let id = decided(&stack).await.decision_id;
    let body = json!({ "scores": [{ "decision_id": id, "score": 0.9 }] });
    let mut status = StatusCode::NOT_FOUND;
    // A decision is written down a moment after it was answered.
    for _ in 0..600 {
        status = tell(&stack, "/route/scores", &body).await.status();
        if status != StatusCode::NOT_FOUND {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, StatusCode::OK);
    let many = json!({ "scores": vec![json!({ "decision_id": id, "score": 1.0 }); 500] });
    let learnt: Value = read(tell(&stack, "/route/scores", &many).await, StatusCode::OK).await;
    assert_eq!(learnt["learnt"], 500);
    assert!(decided(&stack).await.choice.slo_forecast.p_quality > 0.9);
}

#[tokio::test]
async fn a_score_that_cannot_be_is_refused_and_one_of_nobody_is_not_learnt() {
    let (_dir, _, stack) = stack().await;
    let id = maestro_schemas::id::DecisionId::generate();
    for (score, expected) in [
        (json!({ "deployment": "at-own", "score": 1.1 }), "from 0 to 1"),
        (json!({ "score": 0.5 }), "either `deployment` or `decision_id`"),
        (json!({ "deployment": "at-own", "decision_id": id, "score": 0.5 }), "either"),
        (json!({ "deployment": "a\nb", "score": 0.5 }), "control characters"),
    ] {
        let answer = tell(&stack, "/route/scores", &json!({ "scores": [score] })).await;
        assert!(answer.status().is_client_error());
        let text = answer.text().await.unwrap();
        assert!(text.contains(expected), "{text}");
    }
    let one = json!({ "deployment": "at-own", "score": 0.5 });
    let many = json!({ "scores": vec![one; 501] });
    assert!(tell(&stack, "/route/scores", &many).await.status().is_client_error());
    let unknown = json!({ "scores": [{ "decision_id": id, "score": 0.5 }] });
    assert_eq!(tell(&stack, "/route/scores", &unknown).await.status(), StatusCode::NOT_FOUND);
    let nobody = json!({ "scores": [{ "deployment": "at-nowhere", "score": 0.5 }] });
    let learnt: Value = read(tell(&stack, "/route/scores", &nobody).await, StatusCode::OK).await;
    assert_eq!(learnt["learnt"], 0);
}

#[tokio::test]
async fn no_worker_can_speak_for_a_process_that_serves_the_api() {
    let (_dir, options, stack) = stack().await;
    let other = other(&stack, options).await;
    let before = quality(&other);
    let scored = Scored { deployment: "at-own".to_owned(), topic: None, score: 0.0 };
    let from = CoordinatorId::generate();
    let shared =
        Shared { from, outcomes: Vec::new(), scores: vec![scored; 100], begun: Vec::new() };
    let bytes: Vec<u8> = codec::encode(&shared).unwrap();
    let to = || subject::rpc("route", "share").unwrap();
    let worker = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    worker.tell(to(), bytes.clone().into()).await;
    // What the same worker asks after that is answered after that.
    let _ = decided(&stack).await;
    assert!((quality(&other) - before).abs() < 1e-9);
    let api = stack.nats.connect(&Role::Api).await;
    for _ in 0..200 {
        api.tell(to(), bytes.clone().into()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        if quality(&other) < before {
            return;
        }
    }
    panic!("what the api says was not heard");
}

#[tokio::test]
async fn decisions_and_calls_are_counted_and_a_breaker_that_opens_is_seen() {
    let (_dir, _, stack) = stack().await;
    decided(&stack).await;
    let outcome = json!({
        "deployment": "at-own", "class": "connection", "at_ms": now_ms(), "latency_ms": 1,
        "fallback": true, "input_tokens": 7,
    });
    let body = json!({ "outcomes": vec![outcome; 3] });
    let _: Value = read(tell(&stack, "/route/outcomes", &body).await, StatusCode::OK).await;
    let expected = [
        "maestro_route_decisions_total{mode=\"act\",cause=\"only\"} 1",
        "maestro_route_choose_seconds_count 1",
        "maestro_model_calls_total{result=\"connection\"} 3",
        "maestro_model_tokens_total{direction=\"input\"} 21",
        "maestro_route_fallbacks_total{result=\"failed\"} 3",
        "maestro_route_breaker{endpoint=\"openai\"} 3",
        "maestro_route_breaker{endpoint=\"other\"} 0",
    ];
    let mut text = String::new();
    // Breakers are looked at each second.
    for _ in 0..500 {
        let metrics = stack.request(Method::GET, "/metrics").send().await.unwrap();
        text = metrics.text().await.unwrap();
        if expected.iter().all(|line| text.contains(line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{expected:?} in {text}");
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

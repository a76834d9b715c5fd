//! How good answers were, and what is counted of decisions.

use std::time::Duration;

use maestro_schemas::api::route::RouteAnswer;
use maestro_schemas::route::RouteDecision;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::fleet::{choice_of, now_ms, request, tell};
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

async fn stack() -> (tempfile::TempDir, Stack) {
    let (dir, options) = files(Some(CONFIG), &[("routing.rego", ALLOW)]);
    (dir, Stack::with_router(options).await)
}

async fn decided(stack: &Stack) -> RouteDecision {
    let question = json!({ "model": "own", "topic": "law", "prompt_chars": 40 });
    match ask(stack, question, None).await {
        RouteAnswer::Decided { decision } => *decision,
        other => panic!("expected a decision: {other:?}"),
    }
}

#[tokio::test]
async fn a_score_of_a_decision_is_of_its_deployment_and_topic() {
    let (_dir, stack) = stack().await;
    let id = decided(&stack).await.decision_id;
    let poor = json!({ "scores": vec![json!({ "deployment": "at-own", "score": 0.0 }); 500] });
    let _: Value = read(tell(&stack, "/route/scores", &poor).await, StatusCode::OK).await;
    let body = json!({ "scores": vec![json!({ "decision_id": id, "score": 1.0 }); 500] });
    let mut answer = tell(&stack, "/route/scores", &body).await;
    // A decision is written down a moment after it was answered.
    for _ in 0..600 {
        if answer.status() != StatusCode::NOT_FOUND {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        answer = tell(&stack, "/route/scores", &body).await;
    }
    let learnt: Value = read(answer, StatusCode::OK).await;
    assert_eq!(learnt["learnt"], 500);
    let quality = async |model, topic| {
        choice_of(&stack, &request(Some(model), topic)).await.slo_forecast.p_quality
    };
    assert!(quality("own", Some("law")).await > 0.9);
    let of_others = quality("own", None).await;
    assert!((0.4..0.6).contains(&of_others), "half of its answers were good: {of_others}");
    assert!((quality("other", Some("law")).await - 0.7).abs() < 1e-9);
}

#[tokio::test]
async fn a_score_that_cannot_be_is_refused_and_one_of_nobody_is_not_learnt() {
    let (_dir, stack) = stack().await;
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
async fn decisions_and_calls_are_counted_and_a_breaker_that_opens_is_seen() {
    let (_dir, stack) = stack().await;
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

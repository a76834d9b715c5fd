//! The router over HTTP and over the bus: what it answers, what it keeps, and what holds when its files
//! change.

use std::path::Path;
use std::time::Duration;

use maestro_router::config::Config;
use maestro_router::decide::choose;
use maestro_schemas::api::route::{DecisionRecord, RouteAnswer, RouteQuestion};
use maestro_schemas::codec;
use maestro_schemas::route::{Purpose, RouteDecision, RouteRequest};
use maestro_server::routing::Options;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::stack::{Stack, read};

/// The specification's example, as this project ships it.
const CONFIG: &str = include_str!("../../../../deploy/router/litellm.yaml");
const PII: &str = "Please write to IBAN DE89 3704 0044 0532 0130 00 about it.";

fn files(policy: Option<&str>) -> (tempfile::TempDir, Options) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("litellm.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let policies = policy.map(|text| {
        let root = dir.path().join("policies");
        std::fs::create_dir_all(root.join("global")).unwrap();
        put(&root, text);
        root
    });
    (dir, Options { config: Some(config), policies })
}

/// Beside and renamed, as an editor does it: never half there.
fn put(root: &Path, text: &str) {
    let place = root.join("global/routing.rego");
    std::fs::write(root.join("new"), text).unwrap();
    std::fs::rename(root.join("new"), place).unwrap();
}

async fn ask(stack: &Stack, body: &Value) -> Response {
    let request = stack.request(Method::POST, "/route/choose").json(body);
    request.header("x-maestro-project", "demo").send().await.unwrap()
}

fn asking(text: &str) -> Value {
    json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": text }] })
}

fn path(decision: &RouteDecision) -> String {
    format!("/v1/projects/demo/route/decisions/{}", decision.decision_id)
}

/// The decision as it is kept, once it is.
async fn kept(stack: &Stack, decision: &RouteDecision) -> String {
    for _ in 0..600 {
        let answer = stack.request(Method::GET, &path(decision)).send().await.unwrap();
        if answer.status() == StatusCode::OK {
            return answer.text().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the decision is not written down within 6 s");
}

async fn decided(stack: &Stack, body: &Value) -> RouteDecision {
    read(ask(stack, body).await, StatusCode::OK).await
}

/// Asks until the status is the expected one: files are looked at each second.
async fn until(stack: &Stack, status: u16, body: &Value) -> Value {
    for _ in 0..600 {
        let answer = ask(stack, body).await;
        if answer.status() == status {
            return answer.json().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer with status {status} came within 12 s");
}

/// Asks until the refusal's detail holds a text.
async fn until_told(stack: &Stack, body: &Value, text: &str) {
    let mut detail = String::new();
    for _ in 0..600 {
        let problem: Value = ask(stack, body).await.json().await.unwrap();
        detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        if detail.contains(text) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer told of {text:?} within 12 s; the last: {detail}");
}

#[tokio::test]
async fn a_prompt_with_personal_data_stays_where_the_configuration_keeps_it() {
    let (_dir, options) = files(None);
    let stack = Stack::with_router(options).await;
    let plain = decided(&stack, &asking("Write a haiku.")).await;
    assert_eq!((plain.choice.model.as_str(), plain.choice.rationale.tags.len()), ("gpt-4o", 0));
    let personal = decided(&stack, &asking(PII)).await;
    assert_eq!(personal.choice.model, "ig-local-70b");
    assert_eq!(personal.choice.rationale.tags, ["pii"]);
    let excluded = &personal.choice.rationale.excluded;
    assert!(excluded.iter().any(|one| one.rule == "maestro.content_tags"), "{excluded:?}");
}

#[tokio::test]
async fn a_decision_is_kept_without_its_prompt_and_can_be_made_again_letter_by_letter() {
    let (_dir, options) = files(None);
    let stack = Stack::with_router(options).await;
    let decision = decided(&stack, &asking(PII)).await;
    let text = kept(&stack, &decision).await;
    assert!(!text.contains("DE89"), "the prompt is in the record");
    let record: DecisionRecord = serde_json::from_str(&text).unwrap();
    let config = Config::read(&record.config, "kept").unwrap();
    let facts = serde_json::from_value(record.facts).unwrap();
    let objectives = serde_json::from_value(record.objectives).unwrap();
    let again = choose(&config, &facts, &record.request, &objectives).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), record.choice);
}

#[tokio::test]
async fn a_decision_that_the_database_does_not_take_now_is_kept_once_it_does() {
    let (_dir, options) = files(None);
    let stack = Stack::with_router(options).await;
    let (mut holder, mut looker) = (stack.database.conn().await, stack.database.conn().await);
    let mut locked = holder.begin().await.unwrap();
    sqlx::query("lock table route_decision").execute(&mut *locked).await.unwrap();
    let decision = decided(&stack, &asking("Write a haiku.")).await;
    let cut_off = "select pg_terminate_backend(pid) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into route_decision %'";
    let mut is_cut_off = false;
    for _ in 0..600 {
        is_cut_off = !sqlx::query(cut_off).fetch_all(&mut looker).await.unwrap().is_empty();
        if is_cut_off {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(is_cut_off, "nobody tried to write it down within 6 s");
    locked.rollback().await.unwrap();
    kept(&stack, &decision).await;
}

#[tokio::test]
async fn a_new_policy_holds_at_once_a_bad_one_does_not_and_a_missing_one_permits_nothing() {
    let allow = "package maestro.routing\n\nallow := true\n";
    let (dir, options) = files(Some(allow));
    let root = dir.path().join("policies");
    let stack = Stack::with_router(options).await;
    let plain = asking("Write a haiku.");
    until(&stack, 200, &plain).await;

    put(&root, "package maestro.routing\n\ndeny contains \"no model on Sundays\"\n");
    let problem = until(&stack, 403, &plain).await;
    assert_eq!(problem["code"], "MAE-4002");
    assert!(problem["detail"].as_str().unwrap().contains("no model on Sundays"), "{problem}");

    put(&root, "package maestro.routing\n\nallow if {{{\n");
    // Policies are looked at before the configuration: once its new deployment shows, the bad file was
    // read, and the former bundle is what denies that deployment too.
    let witness = "  - model_name: gpt-4o\n    litellm_params: { model: openai/gpt-4o }\n    model_info: { id: witness }\n";
    let config = CONFIG.replacen("model_list:\n", &format!("model_list:\n{witness}"), 1);
    std::fs::write(dir.path().join("litellm.yaml"), config).unwrap();
    until_told(&stack, &plain, "witness by data.maestro.routing.deny (no model on Sundays)").await;

    put(&root, allow);
    until(&stack, 200, &plain).await;
    std::fs::remove_dir_all(&root).unwrap();
    until(&stack, 403, &plain).await;
}

#[tokio::test]
async fn only_workers_that_call_models_may_ask_over_the_bus() {
    let (_dir, options) = files(None);
    let stack = Stack::with_router(options).await;
    let question = RouteQuestion {
        project: "demo".parse().unwrap(),
        request: RouteRequest { model: Some("gpt-4o".into()), ..RouteRequest::default() },
        purpose: Purpose::default(),
    };
    let bytes = codec::encode(&question).unwrap();
    let to = subject::rpc("route", "choose").unwrap();
    let within = Duration::from_secs(5);
    let worker = stack.nats.connect(&Role::Worker("llm".parse().unwrap())).await;
    let answer = worker.request(to.clone(), bytes.clone().into(), within).await.unwrap();
    let answer: RouteAnswer = codec::decode(&answer).unwrap();
    assert!(matches!(answer, RouteAnswer::Decided { .. }), "{answer:?}");
    let other = stack.nats.connect(&Role::Worker("build".parse().unwrap())).await;
    let refused = other.request(to, bytes.into(), Duration::from_millis(300)).await;
    assert!(refused.is_err(), "a build worker was answered");
}

#[tokio::test]
async fn a_provider_that_fails_is_left_alone_and_the_next_in_line_is_told() {
    let (_dir, options) = files(None);
    let stack = Stack::with_router(options).await;
    let first = decided(&stack, &asking("x")).await;
    let at_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let outcome = json!({
        "deployment": first.choice.deployment, "class": "connection",
        "at_ms": at_ms.as_millis() as u64, "latency_ms": 1,
    });
    let body = json!({ "outcomes": vec![outcome; 20] });
    let told = stack.request(Method::POST, "/route/outcomes").json(&body);
    let told: Value =
        read(told.header("x-maestro-project", "demo").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(told["learnt"], 20);
    let body = json!({ "model": "gpt-4o", "prompt_chars": 10, "objectives": "quality" });
    let answer = ask(&stack, &body).await;
    let text = answer.text().await.unwrap();
    assert!(text.contains("maestro.breaker.open"), "{text}");
}

#[tokio::test]
async fn without_a_configuration_there_is_no_router_and_the_answer_says_how_to_get_one() {
    let stack = Stack::with_router(Options::default()).await;
    let problem: Value = read(ask(&stack, &asking("x")).await, StatusCode::NOT_FOUND).await;
    assert_eq!(problem["code"], "MAE-4012");
    assert!(problem["hint"].as_str().unwrap().contains("--router-config"));
    let nobody = stack.http.post(format!("{}/route/choose", stack.address)).json(&asking("x"));
    assert_eq!(nobody.send().await.unwrap().status(), 401);
}

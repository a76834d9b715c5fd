//! What is asked over HTTP is an entry, once, with who asked and the digest of what; and the log is
//! handed out to whoever may see all of it.

use std::sync::Arc;

use maestro_evidence::key::Signer as _;
use maestro_evidence::key::local::LocalKey;
use maestro_evidence::log::note::NoteKey;
use maestro_evidence::log::ticket::Ticket;
use maestro_schemas::api::audit::{AuditItem, AuditLog, AuditPage, AuditRows};
use maestro_schemas::api::problem::Problem;
use maestro_schemas::digest::Digest;
use maestro_server::background::auditor::{Auditor, OneKey};
use maestro_server::store::connect;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::rows::plan_named;
use crate::support::stack::{Stack, read};

const PROMPT: &str = "+++\ndescription = \"Greets.\"\n+++\nGreet them.\n";

async fn done(stack: &Stack) -> Vec<AuditItem> {
    let page: AuditPage = stack.get("/v1/projects/demo/audit?limit=200").await;
    page.entries
}

/// Gathers all that waits, with a key of its own.
async fn audit(stack: &Stack, key: &Arc<LocalKey>) {
    let options = connect::options(&stack.database.url).unwrap();
    let stop = CancellationToken::new();
    let keys = Arc::new(OneKey(key.clone()));
    let mut auditor = Auditor::new(options, stack.objects.clone(), keys, stop);
    while auditor.turn().await.unwrap().is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_request_that_changes_something_is_one_entry_with_who_and_what() {
    let stack = Stack::without_coordinator().await;
    let object = Digest::of(b"bytes");
    let put = |path: String| stack.request(Method::PUT, &path);
    let push = json!({ "name": "greet", "text": PROMPT });
    let settled = json!({ "settlements": [{
        "execution": "exec_01h455vb4pex5vsknk084sn02q", "ordinal": 0,
        "input_tokens": 1, "output_tokens": 2, "cost_microusd": 3 }] });
    let label = "/v1/projects/demo/prompts/greet/versions/1/labels/approved".to_owned();
    let asked = [
        put(format!("/v1/projects/demo/objects/{object}")).body("bytes"),
        stack.request(Method::POST, "/v1/projects/demo/plans").json(plan_named("new").plan()),
        stack.request(Method::POST, "/v1/projects/demo/prompts").json(&push),
        put(label.clone()),
        stack.request(Method::DELETE, &label),
        stack.request(Method::POST, "/v1/projects/demo/cost/settlements").json(&settled),
    ];
    let actions = [
        ("object.put", Some(object)),
        ("plan.store", Some(plan_named("new").digest())),
        ("prompt.push", Some(Digest::of(PROMPT.as_bytes()))),
        ("prompt.label", None),
        ("prompt.unlabel", None),
        ("call.settle", None),
    ];
    for ((place, request), (action, digest)) in asked.into_iter().enumerate().zip(actions) {
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{action}: {}", answer.text().await.unwrap());
        let entries = done(&stack).await;
        assert_eq!(entries.len(), place + 1, "{action}");
        let entry = &entries[0].entry;
        assert_eq!((entry.action.as_str(), entry.actor.as_str()), (action, "ada"));
        assert!(digest.is_none_or(|digest| entry.request == Some(digest)), "{entry:?}");
    }
    // What is there already is not done again, and what is refused is not done.
    stack.post("/v1/projects/demo/prompts", &push).await;
    stack.request(Method::DELETE, &label).send().await.unwrap();
    stack
        .request(Method::POST, "/v1/projects/demo/plans")
        .json(plan_named("new").plan())
        .send()
        .await
        .unwrap();
    stack
        .post(
            "/v1/projects/demo/prompts",
            &json!({ "name": "greet", "text": "Greet {{ nobody }}." }),
        )
        .await;
    assert_eq!(done(&stack).await.len(), actions.len());
}

#[tokio::test]
async fn tokens_are_entries_that_concern_all_projects_and_no_secret_stands_there() {
    let stack = Stack::without_coordinator().await;
    let secret = stack.new_token(&[("*", "viewer")]).await;
    audit(&stack, &Arc::new(LocalKey::generate().unwrap())).await;
    let asked = stack.http.get(format!("{}/v1/audit/rows", stack.address)).bearer_auth(&secret);
    let rows: AuditRows = read(asked.send().await.unwrap(), StatusCode::OK).await;
    let last = &rows.rows.last().unwrap().entry;
    assert!(last.contains("\"action\":\"token.make\"") && !last.contains(&secret), "{last}");
    assert_eq!(done(&stack).await, []);
}

#[tokio::test]
async fn an_entry_is_proven_to_whoever_may_see_the_project_once_it_is_signed() {
    let stack = Stack::without_coordinator().await;
    stack.post("/v1/projects/demo/prompts", &json!({ "name": "greet", "text": PROMPT })).await;
    let id = done(&stack).await[0].entry.id;
    let path = format!("/v1/projects/demo/audit/{id}");
    let early = stack.request(Method::GET, &format!("{path}/proof")).send().await.unwrap();
    let problem: Problem = read(early, StatusCode::CONFLICT).await;
    assert_eq!(problem.code, "MAE-7074");
    let key = Arc::new(LocalKey::generate().unwrap());
    audit(&stack, &key).await;
    let shown: AuditItem = stack.get(&path).await;
    let proof = stack.request(Method::GET, &format!("{path}/proof")).send().await.unwrap();
    let ticket = Ticket::parse(&proof.text().await.unwrap()).unwrap();
    assert_eq!(Some(ticket.index), shown.leaf);
    assert_eq!(ticket.entry, shown.entry.canonical().unwrap().into_bytes());
    let origin = ticket.checkpoint.lines().next().unwrap().to_owned();
    let keys = [key.public().clone()];
    ticket.verify(&NoteKey { name: &origin, keys: &keys }).unwrap();

    let other = stack.new_token(&[("other", "admin")]).await;
    let elsewhere = format!("{}/v1/projects/other/audit/{id}", stack.address);
    let asked = stack.http.get(elsewhere).bearer_auth(&other).send().await.unwrap();
    let _: Problem = read(asked, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn the_log_is_served_as_it_stands_and_hostile_paths_are_not() {
    let stack = Stack::without_coordinator().await;
    let token = stack.new_token(&[("*", "viewer")]).await;
    audit(&stack, &Arc::new(LocalKey::generate().unwrap())).await;
    let get = async |path: &str| {
        let asked = stack.http.get(format!("{}/v1/audit{path}", stack.address));
        asked.bearer_auth(&token).send().await.unwrap()
    };
    let log: AuditLog = read(get("").await, StatusCode::OK).await;
    assert_eq!((log.size, log.assigned, log.waiting), (2, 2, 0));
    let checkpoint = get("/checkpoint").await.text().await.unwrap();
    assert!(checkpoint.starts_with(&format!("{}\n2\n", log.origin)), "{checkpoint}");
    let tile = get("/tile/0/000.p/2").await;
    assert_eq!(tile.headers()["content-type"], "application/octet-stream");
    assert_eq!(tile.bytes().await.unwrap().len(), 64);
    for path in ["/tile/0/001", "/tile/0/000", "/tile/..%2F..%2Fcheckpoint", "/tile/9/000"] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(get("/rows?from=x").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn entries_are_listed_in_pages_and_by_what_they_are() {
    let stack = Stack::without_coordinator().await;
    stack.post("/v1/projects/demo/prompts", &json!({ "name": "greet", "text": PROMPT })).await;
    for label in ["one", "two", "three"] {
        let path = format!("/v1/projects/demo/prompts/greet/versions/1/labels/{label}");
        stack.request(Method::PUT, &path).send().await.unwrap();
    }
    let path = "/v1/projects/demo/audit?action=prompt.label&limit=2";
    let first: AuditPage = stack.get(path).await;
    let next = first.next.clone().unwrap();
    let second: AuditPage = stack.get(&format!("{path}&cursor={next}")).await;
    let about = |page: &AuditPage| -> Vec<String> {
        page.entries.iter().map(|item| item.entry.about.clone().unwrap()).collect()
    };
    assert_eq!(about(&first), ["greet@1 three", "greet@1 two"]);
    assert_eq!((about(&second), second.next), (vec!["greet@1 one".to_owned()], None));
    let none: AuditPage = stack.get("/v1/projects/demo/audit?actor=eve").await;
    assert_eq!(none.entries, []);
    let cursor = stack.request(Method::GET, "/v1/projects/demo/audit?cursor=x").send().await;
    assert_eq!(cursor.unwrap().status(), StatusCode::BAD_REQUEST);
}

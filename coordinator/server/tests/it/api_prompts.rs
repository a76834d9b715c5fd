//! The registry of prompts over HTTP, and what policies make of it when a worker asks for a model.

use maestro_schemas::api::problem::Problem;
use maestro_schemas::api::prompts::{PromptPage, PromptPushed, PromptText};
use maestro_schemas::api::route::RouteAnswer;
use maestro_schemas::digest::Digest;
use maestro_schemas::route::Mode;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::question::{ask, files, refused};
use crate::support::stack::{Stack, read};

const PROMPTS: &str = "/v1/projects/demo/prompts";
const CONFIG: &str = include_str!("../../../../deploy/router/litellm.yaml");
const APPROVED_ONLY: &str = "package maestro.prompts\n\ndeny contains message if {\n\tnot \"approved\" in input.prompt.labels\n\tmessage := sprintf(\"version %d is not approved for %s\", [input.prompt.version, input.step])\n}\n";

async fn push(stack: &Stack, name: &str, text: &str) -> PromptPushed {
    let answer = stack.post(PROMPTS, &json!({ "name": name, "text": text })).await;
    read(answer, StatusCode::OK).await
}

async fn label(stack: &Stack, method: Method, place: &str) -> StatusCode {
    let path = format!("{PROMPTS}/{place}");
    stack.request(method, &path).send().await.unwrap().status()
}

#[tokio::test]
async fn a_text_is_a_new_version_only_where_it_differs_from_the_newest() {
    let stack = Stack::without_coordinator().await;
    let text = "+++\ndescription = \"Greets.\"\n+++\nHello.";
    let first = push(&stack, "team/greet", text).await;
    assert!(first.is_new);
    assert_eq!((first.version.version, first.version.digest), (1, Digest::of(text.as_bytes())));
    assert_eq!(
        (first.version.description.as_str(), first.version.created_by.as_str()),
        ("Greets.", "ada")
    );
    assert!(!push(&stack, "team/greet", text).await.is_new);
    assert_eq!(push(&stack, "team/greet", "Hi.").await.version.version, 2);
    // What was there before the newest is a version again.
    let third = push(&stack, "team/greet", text).await;
    assert_eq!((third.is_new, third.version.version), (true, 3));

    let show = |which: String| format!("{PROMPTS}/team%2Fgreet/versions/{which}");
    let newest: PromptText = stack.get(&show("newest".into())).await;
    assert_eq!((newest.version.version, newest.text.as_str()), (3, text));
    let second: PromptText = stack.get(&show("2".into())).await;
    assert_eq!(second.text, "Hi.");
    let by_digest: PromptText = stack.get(&show(Digest::of(text.as_bytes()).to_string())).await;
    assert_eq!(by_digest.version.version, 3, "the newest with that text");
    let missing = stack.request(Method::GET, &show("4".into())).send().await.unwrap();
    let problem: Problem = read(missing, StatusCode::NOT_FOUND).await;
    assert!(problem.detail.contains("team/greet@4"), "{}", problem.detail);
    let other = stack.new_token(&[("other", "admin")]).await;
    let path = format!("{}/v1/projects/other/prompts/team%2Fgreet", stack.address);
    let elsewhere = stack.http.get(path).bearer_auth(other).send().await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn many_that_push_at_once_make_versions_with_numbers_of_their_own() {
    let stack = Stack::without_coordinator().await;
    let texts: Vec<String> = (0..8).map(|number| format!("text {number}")).collect();
    let pushed = futures::future::join_all(texts.iter().map(|text| push(&stack, "p", text))).await;
    let mut numbers: Vec<u32> = pushed.iter().map(|pushed| pushed.version.version).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<u32>>());
}

#[tokio::test]
async fn lists_come_in_pages() {
    let stack = Stack::without_coordinator().await;
    for name in ["b", "a/x", "c"] {
        push(&stack, name, "one").await;
    }
    push(&stack, "b", "two").await;
    let names = |page: &PromptPage| {
        page.versions.iter().map(|one| format!("{}@{}", one.name, one.version)).collect::<Vec<_>>()
    };
    let first: PromptPage = stack.get(&format!("{PROMPTS}?limit=2")).await;
    assert_eq!(names(&first), ["a/x@1", "b@2"]);
    let next = first.next.expect("another page");
    let second: PromptPage = stack.get(&format!("{PROMPTS}?limit=2&cursor={next}")).await;
    assert_eq!((names(&second), second.next), (vec!["c@1".to_owned()], None));
    let versions: PromptPage = stack.get(&format!("{PROMPTS}/b?limit=1")).await;
    assert_eq!((names(&versions), versions.next.as_deref()), (vec!["b@2".to_owned()], Some("2")));
    let versions: PromptPage = stack.get(&format!("{PROMPTS}/b?limit=1&cursor=2")).await;
    assert_eq!((names(&versions), versions.next), (vec!["b@1".to_owned()], None));
}

#[tokio::test]
async fn what_is_no_prompt_no_name_and_no_label_is_refused() {
    let stack = Stack::without_coordinator().await;
    for (name, text, status, code) in [
        ("review", "{{ nobody }}", 422, "MAE-6001"),
        ("review", "a\u{0}b", 422, "MAE-6001"),
        ("review", &"a".repeat((256 << 10) + 1), 422, "MAE-6001"),
        ("../review", "x", 400, "MAE-2007"),
    ] {
        let answer = stack.post(PROMPTS, &json!({ "name": name, "text": text })).await;
        let status = StatusCode::from_u16(status).unwrap();
        let problem: Problem = read(answer, status).await;
        assert_eq!(problem.code, code, "{}", problem.detail);
    }
    push(&stack, "review", "x").await;
    for (place, status) in [
        ("review/versions/1/labels/Approved", 400),
        ("review/versions/2/labels/approved", 404),
        ("review/versions/9999999999/labels/approved", 400),
        ("review/versions/4294967295/labels/approved", 404),
        ("nobody/versions/1/labels/approved", 404),
    ] {
        assert_eq!(label(&stack, Method::PUT, place).await, status, "{place}");
    }
    for number in 0..32 {
        let place = format!("review/versions/1/labels/l{number}");
        assert_eq!(label(&stack, Method::PUT, &place).await, 204);
    }
    assert_eq!(label(&stack, Method::PUT, "review/versions/1/labels/l3").await, 204, "it has it");
    assert_eq!(label(&stack, Method::PUT, "review/versions/1/labels/more").await, 400);
}

#[tokio::test]
async fn a_label_is_set_and_removed_by_approvers_and_who_did_so_stays_known() {
    let stack = Stack::without_coordinator().await;
    push(&stack, "review", "x").await;
    let place = "review/versions/1/labels/approved";
    let operator = stack.new_token(&[("demo", "operator")]).await;
    let path = format!("{}{PROMPTS}/{place}", stack.address);
    let refused = stack.http.put(&path).bearer_auth(operator).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let approver = stack.new_token(&[("demo", "approver")]).await;
    let done = stack.http.put(&path).bearer_auth(approver).send().await.unwrap();
    assert_eq!(done.status(), StatusCode::NO_CONTENT);
    let labels = async || {
        let shown: PromptText = stack.get(&format!("{PROMPTS}/review/versions/1")).await;
        shown.version.labels.into_iter().collect::<Vec<String>>()
    };
    assert_eq!(labels().await, ["approved"]);
    assert_eq!(label(&stack, Method::DELETE, place).await, 204);
    assert_eq!(labels().await, [""; 0]);
    let kept: (String, Option<String>) =
        sqlx::query_as("select set_by, removed_by from prompt_label")
            .fetch_one(&mut stack.database.conn().await)
            .await
            .unwrap();
    assert_eq!(kept, ("ada".to_owned(), Some("ada".to_owned())));
}

#[tokio::test]
async fn a_prompt_that_is_not_approved_is_refused_until_it_is_with_a_router_and_without() {
    for config in [Some(CONFIG), None] {
        let (_dir, options) = files(config, &[("prompts.rego", APPROVED_ONLY)]);
        let stack = Stack::with_router(options).await;
        let request = json!({ "model": "gpt-4o" });
        let question = async || ask(&stack, request.clone(), Some(("review", "text"))).await;
        let (code, status, message) = refused(question().await);
        assert_eq!((code.as_str(), status), ("MAE-4013", 403));
        assert!(message.contains("version 0 is not approved for main/ask"), "{message}");
        assert!(message.contains("the registry does not know"), "{message}");

        push(&stack, "review", "text").await;
        let (_, _, message) = refused(question().await);
        assert!(message.contains("version 1 of prompt review (sha256:"), "{message}");
        assert_eq!(label(&stack, Method::PUT, "review/versions/1/labels/approved").await, 204);
        let permitted = question().await;
        assert_eq!(matches!(permitted, RouteAnswer::Decided { .. }), config.is_some());
        assert_eq!(permitted == RouteAnswer::Unconfigured, config.is_none());
        // Another text under the name is another version, and nobody approved it.
        let (code, ..) = refused(ask(&stack, request.clone(), Some(("review", "other"))).await);
        assert_eq!(code, "MAE-4013");
        let plain = ask(&stack, request.clone(), None).await;
        assert!(!matches!(plain, RouteAnswer::Refused { .. }), "{plain:?}");
        assert_eq!(label(&stack, Method::DELETE, "review/versions/1/labels/approved").await, 204);
        refused(question().await);
    }
}

#[tokio::test]
async fn a_prompt_that_is_denied_for_one_model_goes_to_another() {
    let not_there =
        "package maestro.prompts\n\ndeny contains \"not there\" if input.model == \"gpt-4o\"\n";
    let config = CONFIG.replacen("router:\n", "router:\n  modes: { demo: act }\n", 1);
    let (_dir, options) = files(Some(&config), &[("prompts.rego", not_there)]);
    let stack = Stack::with_router(options).await;
    let answer = ask(&stack, json!({ "model": "gpt-4o" }), Some(("review", "text"))).await;
    let RouteAnswer::Decided { decision } = answer else { panic!("{answer:?}") };
    assert_eq!(decision.choice.mode, Mode::Act);
    assert_ne!(decision.choice.model, "gpt-4o");
    let rule = |one: &maestro_schemas::route::Excluded| one.rule == "data.maestro.prompts.deny";
    assert!(decision.choice.rationale.excluded.iter().any(rule), "{decision:?}");
}

#[tokio::test]
async fn a_purpose_that_is_none_is_refused() {
    let (_dir, options) = files(None, &[("prompts.rego", APPROVED_ONLY)]);
    let stack = Stack::with_router(options).await;
    let (code, status, message) = refused(ask(&stack, json!({}), Some(("../x", "text"))).await);
    assert_eq!((code.as_str(), status), ("MAE-4004", 400), "{message}");
}

#[tokio::test]
async fn a_label_that_another_process_set_holds_soon_and_without_a_registry_no_model_is_asked() {
    let (_dir, options) = files(None, &[("prompts.rego", APPROVED_ONLY)]);
    let stack = Stack::with_router(options).await;
    push(&stack, "review", "text").await;
    let question = async || ask(&stack, json!({ "model": "m" }), Some(("review", "text"))).await;
    refused(question().await);
    sqlx::query("insert into prompt_label (project, name, version, label, set_by) values ('demo', 'review', 1, 'approved', 'x')")
        .execute(&mut stack.database.conn().await)
        .await
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while question().await != RouteAnswer::Unconfigured {
        assert!(std::time::Instant::now() < until, "the label does not hold after 10 s");
    }
    sqlx::query("drop table prompt_label").execute(&mut stack.database.conn().await).await.unwrap();
    let other = ask(&stack, json!({ "model": "m" }), Some(("review", "other"))).await;
    let (code, status, message) = refused(other);
    assert_eq!((code.as_str(), status), ("MAE-2013", 503), "{message}");
}

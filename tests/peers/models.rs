//! Calls of models: answers, repairs, caps, redeliveries, faults.

use std::time::{Duration, Instant};

use maestro_schemas::artifact::{Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::plan::Workspace;
use maestro_schemas::task::Task;
use serde_json::json;

use crate::provider::{INPUT_PRICE, INPUT_TOKENS, OUTPUT_PRICE, Turn};
use crate::stage::{Stage, task};

fn say(text: &str) -> Turn {
    Turn::Say(text.to_owned())
}

/// What the provider asks for an answer of so many words.
fn price(words: u64) -> u64 {
    INPUT_TOKENS * INPUT_PRICE + words * OUTPUT_PRICE
}

#[tokio::test]
async fn an_answer_is_streamed_into_the_log_and_costs_what_the_provider_asks() {
    let stage = Stage::new("greets", [say("Good morning to you")]).await;
    let ended = stage.ask("litellm.generate", json!({"model": "greets", "prompt": "Greet."})).await;
    let outputs = ended.outputs();
    assert_eq!(outputs["text"], "Good morning to you");
    assert_eq!((&outputs["input_tokens"], &outputs["output_tokens"]), (&json!(10), &json!(4)));
    assert_eq!(outputs["offline"], false);
    assert!(ended.log.contains("Good morning to you"), "{}", ended.log);
    assert_eq!(ended.ledger.spent_microusd(), price(4));
    let calls = ended.ledger.calls();
    assert!(calls[0].settled && calls[0].deployment.as_deref() == Some("at-greets"), "{calls:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_schema_is_asked_for_again_and_both_are_paid() {
    let stage = Stage::new("repairs", [say("seven, I think"), say("{\"score\":7}")]).await;
    let schema = json!({"type": "object", "required": ["score"], "properties": {"score": {"type": "integer"}}});
    let with = json!({"model": "repairs", "prompt": "Score it.", "schema": schema});
    let ended = stage.ask("litellm.generate", with).await;
    assert_eq!(ended.outputs()["json"], json!({"score": 7}));
    assert_eq!(ended.ledger.spent_microusd(), price(3) + price(1));
    let seen = stage.provider.seen("repairs");
    let told = seen[1]["messages"].to_string();
    assert!(told.contains("seven, I think") && told.contains("does not fit"), "{told}");
}

#[tokio::test]
async fn repairs_have_an_end() {
    let stage = Stage::new("unfit", [say("never")]).await;
    let with = json!({"model": "unfit", "prompt": "x", "schema": {"type": "object"}, "repairs": 1});
    let ended = stage.ask("litellm.generate", with).await;
    assert_eq!(ended.failure().class, FailureClass::Permanent);
    assert!(ended.failure().message.contains("none of 2 answers"), "{}", ended.failure().message);
    assert_eq!(ended.ledger.spent_microusd(), 2 * price(1));
}

#[tokio::test]
async fn a_call_that_could_pass_the_cap_is_not_made() {
    let stage = Stage::new("capped", [say("x")]).await;
    let with = json!({"model": "capped", "prompt": "x".repeat(1_000)});
    let task = Task { cap_microusd: Some(1_000), ..task("litellm.generate", with) };
    let ended = stage.carry_out(&task).await;
    assert_eq!(ended.failure().class, FailureClass::Denied, "{}", ended.failure().message);
    assert!(ended.failure().message.contains("left of the step's budget"));
    assert_eq!((stage.provider.seen("capped").len(), ended.ledger.spent_microusd()), (0, 0));
}

#[tokio::test]
async fn an_answer_may_be_no_longer_than_the_cap_pays_for() {
    let stage = Stage::new("cut-to-cap", [say("x")]).await;
    let with = json!({"model": "cut-to-cap", "prompt": "x", "max_tokens": 900});
    let task = Task { cap_microusd: Some(500), ..task("litellm.generate", with) };
    let ended = stage.carry_out(&task).await;
    ended.outputs();
    let seen = stage.provider.seen("cut-to-cap");
    let most = seen[0]["max_tokens"].as_u64().expect("a limit");
    assert!(most < 100 && most > 10, "{most} tokens at {OUTPUT_PRICE} each");
}

#[tokio::test]
async fn a_redelivered_attempt_pays_nobody_twice() {
    let stage = Stage::new("redelivered", [say("once")]).await;
    let first = task("litellm.generate", json!({"model": "redelivered", "prompt": "x"}));
    let paid = stage.carry_out(&first).await;
    let again = stage.carry_out_again(&first).await;
    assert_eq!(
        (&paid.outputs()["text"], &again.outputs()["text"]),
        (&json!("once"), &json!("once"))
    );
    assert_eq!(stage.provider.seen("redelivered").len(), 1);
    // Both tell of the one call, under the execution that made it.
    let (first_call, found) = (&paid.ledger.calls()[0], &again.ledger.calls()[0]);
    assert_eq!((first_call.cost_microusd, found.cost_microusd), (price(1), price(1)));
    assert_eq!((first_call.payer, found.payer), (None, Some((paid.id, 0))));
    // One that was published twice is no other attempt: what it had written down was not asked.
    let published = stage.carry_out(&first).await;
    assert_eq!(published.outputs()["text"], "once");
    assert_eq!(stage.provider.seen("redelivered").len(), 1);
    let calls = published.ledger.calls();
    let mut told: Vec<_> = calls.iter().map(|call| (call.payer, call.cost_microusd)).collect();
    told.sort();
    assert_eq!(told, [(None, 0), (Some((paid.id, 0)), price(1))], "{calls:?}");
    assert!(calls.iter().all(|call| call.settled), "{calls:?}");
    let mut next = first.clone();
    next.token.number = 2;
    stage.carry_out(&next).await.outputs();
    assert_eq!(stage.provider.seen("redelivered").len(), 2, "another attempt asks anew");
}

#[tokio::test]
async fn a_call_that_is_stopped_in_mid_stream_ends_at_once_and_counts_in_full() {
    let stage = Stage::new("stopped", [Turn::Hang("wait for it".to_owned())]).await;
    let with = json!({"model": "stopped", "prompt": "x", "max_tokens": 100});
    let (task, stop) = (task("litellm.generate", with), stage.stop.clone());
    let stopping = async {
        let deadline = Instant::now() + Duration::from_secs(30);
        while stage.provider.seen("stopped").is_empty() {
            assert!(Instant::now() < deadline, "the provider was not asked within 30 s");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.cancel();
        Instant::now()
    };
    let (ended, stopped) = tokio::join!(stage.carry_out(&task), stopping);
    assert!(stopped.elapsed() < Duration::from_secs(5));
    assert!(matches!(ended.outcome, Outcome::Cancelled { .. }), "{:?}", ended.outcome);
    let calls = ended.ledger.calls();
    assert!(!calls[0].settled && calls[0].cost_microusd >= 100 * OUTPUT_PRICE, "{calls:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_counted_costs_the_most_that_it_may() {
    let stage = Stage::new("uncounted", [Turn::SayUncounted("free lunch".to_owned())]).await;
    let with = json!({"model": "uncounted", "prompt": "x", "max_tokens": 50});
    let ended = stage.ask("litellm.generate", with).await;
    ended.outputs();
    let call = &ended.ledger.calls()[0];
    assert!(call.cost_microusd > 0, "{call:?}");
}

#[tokio::test]
async fn a_refusal_has_the_class_that_its_status_means_and_costs_nothing() {
    let turns = [429, 503, 401, 400].map(Turn::Refuse);
    let stage = Stage::new("refused", turns).await;
    let classes = [
        FailureClass::Throttled,
        FailureClass::Transient,
        FailureClass::Denied,
        FailureClass::Permanent,
    ];
    for class in classes {
        let ended = stage.ask("litellm.generate", json!({"model": "refused", "prompt": "x"})).await;
        let failure = ended.failure();
        assert_eq!(failure.class, class, "{}", failure.message);
        assert!(failure.message.contains("the script says"), "{}", failure.message);
        assert_eq!(ended.ledger.spent_microusd(), 0);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer_and_counts_in_full() {
    let stage = Stage::new("broken", [Turn::Cut("half an answer".to_owned())]).await;
    let with = json!({"model": "broken", "prompt": "x", "max_tokens": 10});
    let ended = stage.ask("litellm.generate", with).await;
    assert_eq!(ended.failure().class, FailureClass::Transient, "{}", ended.failure().message);
    assert!(ended.ledger.spent_microusd() >= 10 * OUTPUT_PRICE);
}

#[tokio::test]
async fn functions_that_the_model_asks_for_are_an_output() {
    let stage = Stage::new("calls", [Turn::Call("look_up", json!({"name": "Ada"}))]).await;
    let tool = json!({"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}});
    let messages = json!([{"role": "user", "content": "Who is Ada?"}]);
    let with = json!({"model": "calls", "messages": messages, "tools": [tool]});
    let ended = stage.ask("litellm.chat", with).await;
    let calls = &ended.outputs()["tool_calls"];
    assert_eq!(
        (&calls[0]["name"], &calls[0]["arguments"]),
        (&json!("look_up"), &json!("{\"name\":\"Ada\"}"))
    );
    assert_eq!(ended.outputs()["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn vectors_of_texts_are_an_artifact_in_the_order_of_the_texts() {
    let stage = Stage::new("vectors", []).await;
    let with = json!({"model": "vectors", "input": ["a", "b", "c"]});
    let ended = stage.ask("litellm.embed", with).await;
    assert_eq!(
        (&ended.outputs()["vectors"], &ended.outputs()["dimensions"]),
        (&json!(3), &json!(2))
    );
    let bytes =
        stage.store.get(ended.outcome.artifacts()[0].digest, 1 << 20).await.expect("vectors");
    let vectors: Vec<Vec<f64>> = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(vectors, [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]);
    assert_eq!(ended.ledger.spent_microusd(), INPUT_TOKENS * INPUT_PRICE);
}

#[tokio::test]
async fn vectors_are_paid_for_once_however_often_their_attempt_is_delivered() {
    let stage = Stage::new("kept-vectors", []).await;
    let first = task("litellm.embed", json!({"model": "kept-vectors", "input": ["a", "b"]}));
    let paid = stage.carry_out(&first).await;
    let again = stage.carry_out_again(&first).await;
    assert_eq!(paid.outputs(), again.outputs());
    assert_eq!(paid.outcome.artifacts(), again.outcome.artifacts());
    assert_eq!(stage.provider.seen("kept-vectors").len(), 1);
    assert_eq!(again.ledger.calls()[0].payer, Some((paid.id, 0)));
    let other = task("litellm.embed", json!({"model": "kept-vectors", "input": ["a", "c"]}));
    stage.carry_out(&other).await.outputs();
    assert_eq!(stage.provider.seen("kept-vectors").len(), 2, "other texts have other vectors");
}

#[tokio::test]
async fn a_prompt_of_the_steps_files_is_rendered_with_them_and_named_by_its_digest() {
    let stage = Stage::new("reviews", [say("fine")]).await;
    let prompt =
        "+++\nsystem = \"Review.\"\n[variables.path]\ntype = \"text\"\n+++\nSee {{ file(path) }}";
    let mut entries = Vec::new();
    for (path, text) in [("a.ts", "let a = 1;"), ("prompts/review.md", prompt)] {
        let stored = stage.store.put(text.as_bytes().to_vec()).await.expect("stored");
        let kind =
            TreeEntryKind::File { digest: stored.digest, size: stored.size, executable: false };
        entries.push(TreeEntry { path: path.into(), kind });
    }
    let tree = serde_json::to_value(Tree { entries }).expect("JSON");
    let digest = stage.store.put(tree.to_string().into_bytes()).await.expect("stored").digest;
    let ask =
        |with| Task { workspace: Workspace::Tree { digest }, ..task("litellm.generate", with) };
    let with =
        json!({"model": "reviews", "prompt_template": "review", "variables": {"path": "a.ts"}});
    let ended = stage.carry_out(&ask(with)).await;
    let expected = maestro_schemas::digest::Digest::of(prompt.as_bytes());
    assert_eq!(ended.outputs()["prompt"], expected.to_string());
    let messages = &stage.provider.seen("reviews")[0]["messages"];
    assert_eq!(messages[0]["content"], "Review.");
    assert_eq!(messages[1]["content"], "See let a = 1;");
    let missing = ask(json!({"model": "reviews", "prompt_template": "nobody"}));
    let ended = stage.carry_out(&missing).await;
    assert!(ended.failure().message.contains("there is no file prompts/nobody.md"));
}

//! Personal data is sent to no provider outside the approved jurisdictions: by every byte that was sent to
//! every provider, through LiteLLM's own proxy, straight, and to Ollama's hosts, in every mode.

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_llm::Gateway;
use serde_json::json;

use crate::border::Border;
use crate::carriers::{Carrier, End, carriers, needles};
use crate::provider::Turn;
use crate::scene::{Run, Scene};
use crate::stage::shared;

#[tokio::test(flavor = "multi_thread")]
async fn personal_data_is_sent_to_no_provider_outside_in_any_mode() {
    let border = Border::open().await;
    let mut steps = 0;
    let mut leaks = Vec::new();
    for mode in ["shadow", "advise", "act"] {
        let scene = border.scene(mode).await;
        others_are_sent_out(&border, &scene, mode).await;
        for carrier in carriers() {
            let before = border.sent_out();
            let run = ask(&scene, &carrier).await;
            steps += 1;
            let what = format!("{mode}: {} {}", carrier.action, short(&carrier));
            leaks.extend(
                sent(&before, &border.sent_out(), &carrier).map(|to| format!("{what}: {to}")),
            );
            leaks.extend(unlike(carrier.end, mode, &run).map(|why| format!("{what}: {why}")));
        }
    }
    for (id, watch) in &border.without {
        leaks.extend(watch.saw(&needles()).iter().map(|needle| format!("{id} was sent {needle}")));
    }
    assert!(leaks.is_empty(), "{} of {steps} steps:\n{}", leaks.len(), leaks.join("\n"));
    let taken: usize = border.within.values().map(|watch| watch.connections()).sum();
    let seen = border.within.values().filter(|watch| !watch.saw(&needles()).is_empty()).count();
    eprintln!("{steps} steps; {taken} connections within, {seen} providers there saw the data");
    assert!(steps >= 60 && seen >= 5, "those within are sent it: {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_knows_what_may_go_out_nothing_does() {
    let (proxy, provider) = shared().await;
    provider.script("steady", [Turn::Say("said".to_owned())]);
    let gateway = || Gateway::Kept(Arc::new(proxy.clone()));
    let seen = provider.seen("steady").len();
    // A configuration that cannot be used is not the same as none.
    let scene = Scene::open(Some("model_lists: []"), gateway()).await;
    let run = scene.ask("litellm.generate", json!({ "model": "steady", "prompt": "x" })).await;
    assert_eq!((run.state.as_str(), &run.outputs["class"]), ("failed", &json!("transient")));
    assert!(run.outputs["message"].to_string().contains("configuration cannot be used"), "{run:?}");

    // Where there is none, nobody can say where a model runs.
    let scene = Scene::open(None, gateway()).await;
    for (action, what) in [("litellm.generate", "prompt"), ("litellm.embed", "input")] {
        let with = json!({ "model": "steady", what: "x", "jurisdictions": ["eu"] });
        let run = scene.ask(action, with).await;
        assert_eq!(
            (run.state.as_str(), &run.outputs["class"]),
            ("failed", &json!("denied")),
            "{run:?}"
        );
        assert!(
            run.outputs["message"].to_string().contains("MAE-4002 the step stays in eu"),
            "{run:?}"
        );
    }
    assert_eq!(provider.seen("steady").len(), seen, "a model was asked");
    let run = scene.ask("litellm.generate", json!({ "model": "steady", "prompt": "x" })).await;
    assert_eq!(run.text(), "said");
}

/// What bears no tag goes where it likes, so that the posts are known to see.
async fn others_are_sent_out(border: &Border, scene: &Scene, mode: &str) {
    let before = border.sent_out();
    let run = scene.ask("litellm.generate", json!({ "model": "best", "prompt": mode })).await;
    assert!(run.text().starts_with("He may be paid"), "{run:?}");
    assert!(border.sent_out()["best-us"] > before["best-us"], "{mode}");
}

async fn ask(scene: &Scene, carrier: &Carrier) -> Run {
    let files: Vec<(&str, &str)> =
        carrier.files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    scene.ask_with_files(carrier.action, carrier.with.clone(), &files).await
}

/// Who without was sent anything. A question that only its answer makes personal may go out.
fn sent<'a>(
    before: &'a BTreeMap<&'static str, usize>,
    after: &'a BTreeMap<&'static str, usize>,
    carrier: &Carrier,
) -> impl Iterator<Item = String> + 'a {
    let is_clean_at_first = carrier.with["schema"]["properties"] == json!({});
    let grown =
        after.iter().filter(move |(id, count)| !is_clean_at_first && before[*id] != **count);
    grown.map(|(id, count)| format!("{id} was sent {}", count - before[id]))
}

/// How a run ended otherwise than it should.
fn unlike(end: End, mode: &str, run: &Run) -> Option<String> {
    let message = run.outputs["message"].as_str().unwrap_or_default();
    let is_denied = run.outputs["class"] == json!("denied") && message.len() > 20;
    let is_right = match end {
        End::Within => run.state == "succeeded" && !run.calls.is_empty(),
        End::Denied => run.state == "failed" && is_denied && run.calls.is_empty(),
        End::Replaced if mode == "act" => run.state == "succeeded",
        End::Replaced | End::Any => true,
    };
    (!is_right)
        .then(|| format!("expected {end:?}, found {} {} {:?}", run.state, run.outputs, run.calls))
}

fn short(carrier: &Carrier) -> String {
    carrier.with.to_string().chars().take(160).collect()
}

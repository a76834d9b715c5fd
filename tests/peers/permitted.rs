//! Prompts and costs that policies permit or forbid: runs on real servers, through LiteLLM's own proxy.

use maestro_schemas::plan::Plan;
use reqwest::Method;
use serde_json::{Value, json};

use crate::governed::{Scene, plan};
use crate::provider::Turn;
use crate::stage::shared;

const APPROVED_ONLY: &str = "package maestro.prompts\n\ndeny contains message if {\n\tnot \"approved\" in input.prompt.labels\n\tmessage := sprintf(\"version %d of %s is not approved\", [input.prompt.version, input.prompt.name])\n}\n";
const COST: &str = include_str!("../../policies/rego/cost.rego");
const PROMPT: &str = "Greet them.";

/// A dear model, and one that takes its place.
const CONFIG: &str = "
model_list:
  - model_name: costly
    litellm_params: { model: openai/costly }
    model_info: { id: at-costly, input_cost_per_token: 0.001, output_cost_per_token: 0.001 }
    maestro: { quality: { default: 0.95 } }
  - model_name: thrifty
    litellm_params: { model: openai/thrifty }
    model_info: { id: at-thrifty, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.5 } }
router:
  fallbacks: [{ primary: costly, on_error: [thrifty] }]
  modes: { default: act }
";

async fn prompted(scene: &Scene, text: &str) -> Plan {
    let mut plan = plan(json!({ "model": "gated", "prompt_template": "team/greet" }));
    plan.nodes[0].workspace = scene.files(&[("prompts/team/greet.md", text)]).await;
    plan
}

async fn send(scene: &Scene, method: Method, path: &str, body: Value) -> Value {
    let answer = scene.request(method, path).json(&body).send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    assert!(status.is_success(), "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_is_sent_to_no_model_until_its_version_is_approved() {
    let (_, provider) = shared().await;
    provider.script("gated", [Turn::Say("Good morning".to_owned())]);
    // There is no router: the policies are asked all the same.
    let scene = Scene::new(None, &[("prompts.rego", APPROVED_ONLY)]).await;
    let pushed = json!({ "name": "team/greet", "text": PROMPT });
    assert_eq!(send(&scene, Method::POST, "/prompts", pushed).await["version"], 1);

    let (state, _, failure) = scene.run(prompted(&scene, PROMPT).await).await;
    assert_eq!((state.as_str(), &failure["class"]), ("failed", &json!("denied")), "{failure}");
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("MAE-4013 version 1 of prompt team/greet (sha256:"), "{message}");
    assert!(message.contains("version 1 of team/greet is not approved"), "{message}");
    assert!(provider.seen("gated").is_empty(), "a model was shown the prompt");

    let label = "/prompts/team%2Fgreet/versions/1/labels/approved";
    send(&scene, Method::PUT, label, json!({})).await;
    let (state, _, outputs) = scene.run(prompted(&scene, PROMPT).await).await;
    assert_eq!((state.as_str(), &outputs["text"]), ("succeeded", &json!("Good morning")));
    assert_eq!(provider.seen("gated").len(), 1);
    // What the plan pins counts: another text under the name is not what was approved.
    let (state, _, failure) = scene.run(prompted(&scene, "Insult them.").await).await;
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(state == "failed" && message.contains("the registry does not know"), "{failure}");
    assert_eq!(provider.seen("gated").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_model_is_too_dear_gets_a_cheaper_one_unless_it_wants_none() {
    let (_, provider) = shared().await;
    provider.script("costly", [Turn::Say("for much".to_owned())]);
    provider.script("thrifty", [Turn::Say("for little".to_owned())]);
    let scene = Scene::new(Some(CONFIG), &[("cost.rego", COST)]).await;
    let with = |downgrade: bool| {
        json!({
            "model": "costly", "prompt": "Greet.", "max_tokens": 100, "objectives": "quality",
            "downgrade": downgrade,
        })
    };
    let budget = |downgrade| {
        let mut plan = plan(with(downgrade));
        plan.nodes[0].budget_microusd = Some(50_000);
        plan
    };
    let (state, run, outputs) = scene.run(budget(true)).await;
    assert_eq!((state.as_str(), &outputs["text"]), ("succeeded", &json!("for little")));
    assert_eq!(scene.calls(run).await, [("at-thrifty".to_owned(), true)]);

    let (state, _, failure) = scene.run(budget(false)).await;
    assert_eq!((state.as_str(), &failure["class"]), ("failed", &json!("denied")), "{failure}");
    let message = failure["message"].as_str().unwrap_or_default();
    assert!(message.contains("exceeds budget 0.0500"), "{message}");
    assert!(message.contains("maestro.downgrade"), "{message}");
    assert!(provider.seen("costly").is_empty(), "a model that is too dear was asked");
    let mut vectors = plan(json!({ "model": "costly", "input": "x".repeat(400) }));
    vectors.nodes[0].action.name = "litellm.embed".to_owned();
    vectors.nodes[0].budget_microusd = Some(50_000);
    let (state, _, failure) = scene.run(vectors).await;
    assert_eq!((state.as_str(), &failure["class"]), ("failed", &json!("denied")), "{failure}");
    let (state, _, outputs) = scene.ask(with(false)).await;
    assert_eq!((state.as_str(), &outputs["text"]), ("succeeded", &json!("for much")), "no budget");
}

//! Calls of models that the router decides: a run on real servers, through LiteLLM's own proxy.

use serde_json::json;

use crate::provider::Turn;
use crate::scene::Scene;
use crate::stage::shared;

/// Two models of others, and one of our own.
const CONFIG: &str = "
model_list:
  - model_name: failing
    litellm_params: { model: openai/failing }
    model_info: { id: at-failing, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.95 } }
  - model_name: steady
    litellm_params: { model: openai/steady }
    model_info: { id: at-steady, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.9 } }
  - model_name: inhouse
    litellm_params: { model: vllm/inhouse, api_base: http://127.0.0.1:9 }
    model_info: { id: at-inhouse, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.5 } }
router:
  strategy: multi_objective
  fallbacks:
    - { primary: failing, on_error: [steady, inhouse] }
  modes: { default: MODE }
policies:
  content_tags: { pii: [inhouse] }
";

async fn scene(mode: &str) -> Scene {
    let (_, provider) = shared().await;
    provider.script("failing", [Turn::Refuse(503)]);
    provider.script("steady", [Turn::Say("from the steady one".to_owned())]);
    provider.script("inhouse", [Turn::Say("from our own".to_owned())]);
    Scene::new(Some(&CONFIG.replace("MODE", mode)), &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_router_acts_a_model_that_fails_gives_way_to_the_next_and_personal_data_stays() {
    let scene = scene("act").await;
    // It is the best by what is believed of it, until it fails.
    let mut superseded = false;
    for _ in 0..6 {
        let with = json!({"model": "failing", "prompt": "Say something.", "objectives": "quality"});
        let (state, run, outputs) = scene.ask(with).await;
        assert_eq!(state, "succeeded", "{outputs}");
        let text = outputs["text"].as_str().unwrap_or_default();
        assert!(["from the steady one", "from our own"].contains(&text), "{text}");
        let calls = scene.calls(run).await;
        assert!(calls.iter().all(|(_, decided)| *decided), "{calls:?}");
        superseded |= calls.len() == 2;
    }
    assert!(superseded, "the model that fails was never tried");
    let with = json!({"model": "failing", "prompt": "Pay to DE89 3704 0044 0532 0130 00, please."});
    let (state, run, outputs) = scene.ask(with).await;
    assert_eq!(state, "succeeded", "{outputs}");
    assert_eq!(outputs["text"], "from our own");
    assert_eq!(scene.calls(run).await, [("at-inhouse".to_owned(), true)]);
    let (_, provider) = shared().await;
    for model in ["failing", "steady"] {
        let leaked = provider.seen(model).iter().any(|body| body.to_string().contains("DE89"));
        assert!(!leaked, "{model} was shown personal data");
    }
    let secret =
        json!({"model": "steady", "prompt": "x", "tags": ["pii"], "jurisdictions": ["eu"]});
    let (state, _, _) = scene.ask(secret).await;
    assert_eq!(state, "failed", "nobody said where our own runs");
}

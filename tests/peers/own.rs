//! `ollama.generate` as a run on real servers: with a router, whose word on tags and places holds for own
//! hosts too, and without one.

use maestro_llm::ollama::Host;
use maestro_llm::{Gateway, Places};
use serde_json::json;

use crate::ollama::{GIB, Ollama, PROMPT_TOKENS, Turn};
use crate::scene::Scene;

const ACTION: &str = "ollama.generate";
const IBAN: &str = "Pay to DE89 3704 0044 0532 0130 00, please.";

/// A model that may see personal data and runs in Germany, one that may not, and a dearer one of others.
const CONFIG: &str = "
model_list:
  - model_name: own
    litellm_params: { model: ollama/own, api_base: http://127.0.0.1:9 }
    maestro: { jurisdiction: eu-de, quality: { default: 0.5 } }
  - model_name: open
    litellm_params: { model: ollama/open, api_base: http://127.0.0.1:9 }
    maestro: { jurisdiction: us, quality: { default: 0.5 } }
  - model_name: others
    litellm_params: { model: openai/others }
    maestro: { quality: { default: 0.95 } }
router:
  objectives: [quality]
  fallbacks:
    - { primary: own, on_error: [others] }
  modes: { default: act }
policies:
  content_tags: { pii: [own] }
";

async fn scene(config: Option<&str>, hosts: impl IntoIterator<Item = Host>) -> Scene {
    let ollama = hosts.into_iter().collect();
    Scene::open(config, Places { ollama, ..Places::from(Gateway::Nowhere) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_asks_an_own_host_and_its_call_is_in_the_books() {
    let host = Ollama::start(&["own:latest"], [Turn::Say("from our own")]).await;
    let scene = scene(None, [host.host("gpu-1")]).await;
    let run = scene.ask(ACTION, json!({"model": "own", "prompt": "x"})).await;
    assert_eq!(run.text(), "from our own");
    let call = &run.calls[0];
    assert_eq!(call.deployment.as_deref(), Some("ollama:gpu-1"));
    assert_eq!((call.model.as_str(), call.cost_microusd, call.decided), ("own", 0, false));
    assert_eq!((call.input_tokens as u64, call.output_tokens), (PROMPT_TOKENS, 3));
    assert!(run.log.starts_with("[gpu-1 is asked for own: "), "{}", run.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_router_says_of_tags_and_places_holds_for_own_hosts() {
    let models = ["own:latest", "open:latest"];
    let us = Ollama::start(&models, [Turn::Say("from the us")]).await;
    let eu = Ollama::start(&models, [Turn::Say("from germany")]).await;
    us.load("own:latest", GIB, GIB);
    let at = |host: &Ollama, name: &str, place: &str| Host {
        jurisdiction: Some(place.to_owned()),
        ..host.host(name)
    };
    let scene = scene(Some(CONFIG), [at(&us, "us", "us"), at(&eu, "eu", "eu-de")]).await;
    // The router would take another model; it permits this one, in Germany.
    let run = scene.ask(ACTION, json!({"model": "own", "prompt": IBAN})).await;
    assert_eq!((run.text(), run.calls[0].decided), ("from germany", true));
    let run = scene.ask(ACTION, json!({"model": "own", "prompt": "x"})).await;
    assert_eq!(run.text(), "from germany", "it is permitted there alone");
    let run = scene.ask(ACTION, json!({"model": "open", "prompt": "x"})).await;
    assert_eq!(run.text(), "from the us");

    let run = scene.ask(ACTION, json!({"model": "open", "prompt": IBAN})).await;
    assert_eq!((run.state.as_str(), run.calls.len()), ("failed", 0), "{run:?}");
    let with = json!({"model": "own", "prompt": "x", "jurisdictions": ["us"]});
    let run = scene.ask(ACTION, with).await;
    assert_eq!((run.state.as_str(), run.calls.len()), ("failed", 0), "{run:?}");
    let run = scene.ask(ACTION, json!({"model": "nobody", "prompt": "x"})).await;
    assert_eq!((run.state.as_str(), run.calls.len()), ("failed", 0), "the router knows it not");
    // In a chain the next that is permitted is asked.
    let with = json!({"models": ["open", "own"], "prompt": IBAN});
    assert_eq!(scene.ask(ACTION, with).await.text(), "from germany");
    assert!(!us.chats().iter().any(|body| body.to_string().contains("DE89")));
}

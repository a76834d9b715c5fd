//! Calls straight to own servers, past LiteLLM's proxy: a run on real servers, whose worker is told by the
//! router's configuration which deployments those are.

use std::sync::Arc;

use maestro_cli::service::models::direct::deployments;
use maestro_llm::{Gateway, Places};
use maestro_router::config::Config;
use serde_json::{Value, json};

use crate::provider::{INPUT_PRICE, INPUT_TOKENS, OUTPUT_PRICE, Turn};
use crate::scene::{Run, Scene};
use crate::stage::shared;

const ACTION: &str = "litellm.generate";
/// What our own client says that it is.
const OURS: &str = "maestro/";

/// Own servers at `straight` and `gone`, where nobody listens, which the proxy knows nothing of; and a
/// model of others, which it does.
fn config(mode: &str, base: &str) -> String {
    let info = |id: &str| {
        let (input, output) = (INPUT_PRICE as f64 / 1e6, OUTPUT_PRICE as f64 / 1e6);
        json!({"id": id, "input_cost_per_token": input, "output_cost_per_token": output})
    };
    let one = |name: &str, params: Value, quality: f64| {
        json!({
            "model_name": name, "litellm_params": params, "model_info": info(&format!("at-{name}")),
            "maestro": {"quality": {"default": quality}},
        })
    };
    json!({
        "model_list": [
            one("gone", json!({"model": "hosted_vllm/gone", "api_base": "http://127.0.0.1:9/v1"}), 0.99),
            one("straight", json!({"model": "hosted_vllm/straight", "api_base": base}), 0.9),
            one("others", json!({"model": "openai/others"}), 0.5),
        ],
        "router": {
            "objectives": ["quality"], "modes": {"default": mode},
            "fallbacks": [{"primary": "gone", "on_error": ["straight"]}],
        },
        "policies": {"content_tags": {"public": ["others"]}},
    })
    .to_string()
}

async fn scene(mode: &str) -> Scene {
    let (proxy, _) = shared().await;
    scene_with(mode, Gateway::Kept(Arc::new(proxy.clone()))).await
}

async fn scene_with(mode: &str, gateway: Gateway) -> Scene {
    let (_, provider) = shared().await;
    provider.script("straight", [Turn::Say("said straight".to_owned())]);
    provider.script("others", [Turn::Say("said by others".to_owned())]);
    let text = config(mode, provider.address());
    let known = Config::read(&text, "litellm.yaml").expect("a configuration");
    let direct = deployments(&known, &|_| None);
    assert_eq!(direct.keys().collect::<Vec<_>>(), ["at-gone", "at-straight"]);
    Scene::open(Some(&text), Places { direct, ..Places::from(gateway) }).await
}

fn deployment(run: &Run) -> Option<&str> {
    run.calls.last().and_then(|call| call.deployment.as_deref())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_server_is_called_past_the_proxy_and_what_others_run_through_it() {
    let scene = scene("act").await;
    let (_, provider) = shared().await;
    let run = scene.ask(ACTION, json!({"model": "straight", "prompt": "x", "max_tokens": 9})).await;
    assert_eq!(run.text(), "said straight");
    let call = &run.calls[0];
    assert_eq!(
        (call.model.as_str(), deployment(&run)),
        ("at-straight", Some("direct:at-straight"))
    );
    assert_eq!(call.cost_microusd as u64, INPUT_TOKENS * INPUT_PRICE + 2 * OUTPUT_PRICE);
    assert_eq!((call.input_tokens as u64, call.output_tokens), (INPUT_TOKENS, 2));
    assert!(
        run.log.starts_with("[at-straight is called straight, at http://127.0.0.1:"),
        "{}",
        run.log
    );
    let callers = provider.callers("straight");
    let all_ours = callers.iter().all(|one| one.starts_with(OURS));
    assert!(!callers.is_empty() && all_ours, "{callers:?}");

    let run = scene.ask(ACTION, json!({"model": "others", "prompt": "x"})).await;
    assert_eq!((run.text(), deployment(&run)), ("said by others", Some("at-others")));
    assert!(run.log.starts_with("[at-others is called through the gateway]"), "{}", run.log);
    let callers = provider.callers("others");
    assert!(!callers.is_empty() && !callers.iter().any(|one| one.starts_with(OURS)), "{callers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_straight_call_saves_the_hop() {
    let scene = scene("act").await;
    let mut ways = Vec::new();
    for model in ["straight", "others"] {
        let mut walls = Vec::new();
        for _ in 0..21 {
            let run = scene.ask(ACTION, json!({"model": model, "prompt": "x"})).await;
            walls.push(run.calls[0].wall_ms);
        }
        walls.sort_unstable();
        ways.push(walls[10]);
    }
    eprintln!("median of 21 calls: {} ms straight, {} ms through the proxy", ways[0], ways[1]);
    assert!(ways[0] < ways[1], "{ways:?} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_hears_of_a_server_that_is_gone_and_another_answers_without_any_gateway() {
    let scene = scene_with("act", Gateway::Nowhere).await;
    let ask =
        || scene.ask(ACTION, json!({"model": "gone", "prompt": "x", "objectives": "quality"}));
    let first = ask().await;
    assert_eq!(first.text(), "said straight");
    assert_eq!(first.models(), ["at-gone", "at-straight"]);
    assert_eq!(first.calls[0].cost_microusd, 0, "nobody took it");
    assert!(first.log.contains("[superseded: "), "{}", first.log);
    // Three connections that failed open its breaker; then it is not asked at all.
    let mut runs = 0;
    while ask().await.models().contains(&"at-gone") {
        runs += 1;
        assert!(runs < 20, "the router never heard that it is gone");
    }
    let run = scene.ask(ACTION, json!({"model": "others", "prompt": "x"})).await;
    assert_eq!((run.state.as_str(), run.calls.len()), ("failed", 0));
    assert!(run.outputs.to_string().contains("the model gateway is not there"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_straight_call_keeps_to_the_steps_budget_at_the_configured_price() {
    let scene = scene_with("act", Gateway::Nowhere).await;
    // The router takes four letters for a token; the worker trusts no such guess, and lowers the answer.
    let with = json!({"model": "straight", "prompt": "x", "max_tokens": 101});
    let run = scene.ask_within(ACTION, with, Some(540)).await;
    assert_eq!(run.text(), "said straight");
    let (_, provider) = shared().await;
    let seen = provider.seen("straight");
    let limits: Vec<u64> = seen.iter().filter_map(|body| body["max_tokens"].as_u64()).collect();
    assert!(
        limits.iter().any(|most| (60..101).contains(most)),
        "{limits:?} at {OUTPUT_PRICE} each"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_router_does_not_act_on_goes_through_the_proxy() {
    let scene = scene("shadow").await;
    let run = scene.ask(ACTION, json!({"model": "others", "prompt": "x"})).await;
    assert_eq!(run.text(), "said by others");
    // The proxy knows no such model, so asking it by its name fails: nobody went past it.
    let run = scene.ask(ACTION, json!({"model": "straight", "prompt": "x"})).await;
    assert_eq!((run.state.as_str(), run.models().as_slice()), ("failed", ["straight"].as_slice()));
}

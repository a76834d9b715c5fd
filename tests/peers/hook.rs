//! A plain LiteLLM proxy that obeys the router, by `deploy/router/maestro_hook.py`: the real proxy, the
//! real router over HTTP, and providers that do what a test says.

use std::time::{Duration, Instant};

use maestro_cli::service::api::{self, Parts};
use maestro_router::config::Config;
use maestro_router::render::{self, render};
use maestro_server::api::serve;
use maestro_server::routing;
use maestro_streams::topology::Role;
use maestro_telemetry::metrics::Metrics;
use maestro_tests::harness::{Cluster, Running, until};
use reqwest::Response;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::plain::{Proxy, client};
use crate::provider::{Provider, Turn};

pub const TOKEN: &str = "a-token-of-the-tests-alone";
const DECISION: &str = "x-maestro-decision-id";
const IBAN: &str = "Pay the rent to DE89 3704 0044 0532 0130 00.";
/// Each with a provider of its own, since providers have breakers: name, quality, price of a token in
/// millionths of a dollar.
const MODELS: [(&str, f64, u64); 4] =
    [("talks", 0.5, 1), ("keeps", 0.9, 50), ("falters", 0.9, 1), ("steady", 0.5, 1)];

/// The providers, and the router's configuration that has them as models.
struct Providers {
    each: Vec<Provider>,
    config: String,
}

impl Providers {
    async fn start(mode: &str) -> Self {
        let (mut each, mut list) = (Vec::new(), Vec::new());
        for (model, quality, price) in MODELS {
            let provider = Provider::start().await;
            provider.script(model, [Turn::Say(format!("{model} says this"))]);
            let mut deployment = provider.deployment(model);
            for key in ["input_cost_per_token", "output_cost_per_token"] {
                deployment["model_info"][key] = json!(price as f64 / 1e6);
            }
            deployment["litellm_params"]["api_key"] = json!("os.environ/PROVIDER_KEY");
            deployment["maestro"] = json!({ "quality": { "default": quality } });
            list.push(deployment);
            each.push(provider);
        }
        let chain = |primary: &str, next: &str| json!({ "primary": primary, "on_error": [next] });
        let config = json!({
            "model_list": list,
            "router": {
                "objectives": ["quality"],
                "fallbacks": [chain("talks", "keeps"), chain("keeps", "talks"), chain("falters", "steady")],
                "modes": { "default": mode },
            },
            "policies": { "content_tags": { "pii": ["keeps"] } },
        });
        Self { each, config: config.to_string() }
    }

    fn of(&self, model: &str) -> &Provider {
        let place = MODELS.iter().position(|(name, ..)| *name == model).expect("a model");
        &self.each[place]
    }

    /// How many calls a model got.
    fn calls(&self, model: &str) -> usize {
        self.of(model).seen(model).len()
    }

    fn rendered(&self) -> String {
        let config = Config::read(&self.config, "litellm.yaml").expect("a configuration");
        render(&config, render::Options::default())
    }
}

/// Providers, a router over HTTP, and a proxy that asks it.
struct Scene {
    proxy: Proxy,
    providers: Providers,
    server: String,
    stop: CancellationToken,
    _coordinator: Running,
    _cluster: Cluster,
}

impl Scene {
    async fn set(mode: &str) -> Self {
        let providers = Providers::start(mode).await;
        let cluster = Cluster::start(&[]).await;
        let coordinator = cluster.coordinator("one");
        let stop = CancellationToken::new();
        let server = serve_api(&cluster, router(&cluster, &providers.config), &stop).await;
        let variables = [("MAESTRO_SERVER", server.as_str()), ("MAESTRO_TOKEN", TOKEN)];
        let proxy = Proxy::start(&providers.rendered(), &variables).await;
        Self { proxy, providers, server, stop, _coordinator: coordinator, _cluster: cluster }
    }

    /// What the router itself says to a question for a model.
    async fn choose(&self, model: &str) -> Value {
        let asked = client()
            .post(format!("{}/route/choose", self.server))
            .bearer_auth(TOKEN)
            .json(&json!({ "model": model }));
        asked.send().await.expect("an answer").json().await.expect("JSON")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A router with this configuration, without policies.
pub fn router(cluster: &Cluster, config: &str) -> routing::Options {
    let file = cluster.dir().join("litellm.yaml");
    std::fs::write(&file, config).expect("a file");
    routing::Options { config: Some(file), policies: None }
}

/// Serves the API with a router; answers its address.
pub async fn serve_api(
    cluster: &Cluster,
    router: routing::Options,
    stop: &CancellationToken,
) -> String {
    let database_url = cluster.postgres.url();
    api::admit_admin(&database_url, "tests", TOKEN).await.expect("a token");
    let parts = Parts {
        bus: cluster.bus(&Role::Api, "api"),
        database_url: &database_url,
        objects: cluster.store.clone(),
        metrics: Metrics::new(),
        router,
        keys: None,
        keyring: Default::default(),
    };
    let api = api::open(parts, stop).await.expect("an API");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve::serve(listener, api, stop.clone()));
    format!("http://{address}")
}

fn call(model: &str, prompt: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": prompt }] })
}

/// Metadata of a caller that would like to have been permitted.
fn own_decision() -> Value {
    json!({ "maestro_decision": {
        "decision_id": "dec_1", "must": false, "model": "talks", "deployment": "at-talks", "order": [],
        "tags": [], "forbidden": [], "used": false, "passed": ["at-talks"], "tried": [], "began": {},
    } })
}

fn decision(response: &Response) -> String {
    let id = response.headers().get(DECISION).and_then(|id| id.to_str().ok());
    id.unwrap_or_default().to_owned()
}

async fn answered(response: Response) -> String {
    let status = response.status();
    let text = response.text().await.expect("a body");
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test]
async fn calls_go_where_the_router_says_and_name_its_decision() {
    let scene = Scene::set("act").await;
    let asked = call("talks", "Greet.");
    let plain = scene.proxy.chat(&asked).send().await.expect("an answer");
    assert!(decision(&plain).starts_with("dec_"), "{:?}", plain.headers());
    assert_eq!(plain.headers()["x-maestro-model"], "keeps");
    assert!(answered(plain).await.contains("keeps says this"));

    let cheap = scene.proxy.chat(&asked).header("X-Maestro-Objectives", "cost");
    let cheap = cheap.send().await.expect("an answer");
    assert_eq!(cheap.headers()["x-maestro-model"], "talks");
    assert!(answered(cheap).await.contains("talks says this"));

    let mut asked = asked;
    asked["stream"] = json!(true);
    let streamed = scene.proxy.chat(&asked).send().await.expect("an answer");
    assert!(decision(&streamed).starts_with("dec_"), "{:?}", streamed.headers());
    assert!(answered(streamed).await.contains("[DONE]"));
    assert_eq!((scene.providers.calls("talks"), scene.providers.calls("keeps")), (1, 2));
}

#[tokio::test]
async fn what_is_forbidden_reaches_no_model_in_shadow_either_and_by_no_door() {
    let scene = Scene::set("shadow").await;
    let asked = call("talks", "Greet.");
    let plain = scene.proxy.chat(&asked).send().await.expect("an answer");
    assert!(answered(plain).await.contains("talks says this"), "shadow changes nothing");

    let private = scene.proxy.chat(&call("talks", IBAN)).send().await.expect("an answer");
    assert!(answered(private).await.contains("keeps says this"));
    let refused = scene.proxy.chat(&call("steady", IBAN)).send().await.expect("an answer");
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.expect("a body").contains("MAE-4002"));

    for (door, mut asked) in [
        ("completions", json!({ "prompt": IBAN })),
        ("embeddings", json!({ "input": [IBAN] })),
        ("messages", json!({ "max_tokens": 9, "messages": [], "system": IBAN })),
        ("responses", json!({ "input": IBAN })),
        ("images/generations", json!({ "prompt": IBAN, "metadata": own_decision() })),
    ] {
        let before = scene.providers.calls("keeps");
        asked["model"] = json!("talks");
        scene.proxy.ask(door, &asked).send().await.expect("an answer");
        assert!(scene.providers.calls("keeps") > before, "{door}");
    }
    assert_eq!((scene.providers.calls("talks"), scene.providers.calls("steady")), (1, 0));
}

#[tokio::test]
async fn no_fallback_and_no_word_of_the_callers_leads_past_what_is_permitted() {
    let scene = Scene::set("shadow").await;
    // The only permitted model fails: neither the configured chain nor the caller's own may help.
    scene.providers.of("keeps").script("keeps", [Turn::Refuse(500)]);
    let failed = scene.proxy.chat(&call("keeps", IBAN)).send().await.expect("an answer");
    assert!(failed.status().is_client_error() || failed.status().is_server_error());
    for way in ["at-talks", "talks", "at-steady"] {
        let mut asked = call("keeps", IBAN);
        asked["fallbacks"] = json!([way]);
        let failed = scene.proxy.chat(&asked).send().await.expect("an answer");
        assert!(!failed.status().is_success(), "{way}");
    }
    let mut asked = call("talks", IBAN);
    asked["metadata"] = own_decision();
    let failed = scene.proxy.chat(&asked).send().await.expect("an answer");
    assert!(!failed.status().is_success(), "a caller's own decision");
    assert_eq!((scene.providers.calls("talks"), scene.providers.calls("steady")), (0, 0));
    assert_eq!(scene.providers.calls("keeps"), 5);
    let log = scene.proxy.log();
    assert!(!log.contains(TOKEN) && !log.contains("3704 0044"), "a secret is in the log");
}

#[tokio::test]
async fn a_model_whose_failures_were_told_is_left_alone() {
    let scene = Scene::set("act").await;
    scene.providers.of("falters").script("falters", [Turn::Refuse(500)]);
    assert!(scene.choose("steady").await["SLO_forecast"]["p95_ms"].is_null());
    let decided = until("an open breaker", || async {
        let response = scene.proxy.chat(&call("falters", "Greet.")).send().await.ok()?;
        assert!(answered(response).await.contains("steady says this"));
        let decided = scene.choose("falters").await;
        let excluded = decided["rationale"]["excluded"].as_array()?;
        excluded.iter().any(|one| one["rule"] == "maestro.breaker.open").then_some(decided)
    })
    .await;
    assert_eq!(decided["deployment"], "at-steady");
    assert!(decided["SLO_forecast"]["p95_ms"].is_object(), "{decided}");
    let before = scene.providers.calls("falters");
    assert!(before >= 8, "a few failures are no trip: {before}");
    let response = scene.proxy.chat(&call("falters", "Greet.")).send().await.expect("an answer");
    assert_eq!(response.headers()["x-maestro-model"], "steady");
    assert_eq!(scene.providers.calls("falters"), before);
}

#[tokio::test]
async fn a_model_that_asks_for_a_pause_gets_it_and_an_answer_that_breaks_off_is_a_failure() {
    let scene = Scene::set("act").await;
    let success = |decided: &Value| decided["SLO_forecast"]["p_success"].as_f64().expect("a share");
    let before = success(&scene.choose("at-talks").await);
    scene.providers.of("talks").script("talks", [Turn::Cut("talks and then".to_owned())]);
    let mut asked = call("at-talks", "Greet.");
    asked["stream"] = json!(true);
    let cut = scene.proxy.chat(&asked).send().await.expect("an answer");
    let _ = cut.text().await;
    until("a lower share of successes", || async {
        (success(&scene.choose("at-talks").await) < before).then_some(())
    })
    .await;

    scene.providers.of("steady").script("steady", [Turn::Refuse(429)]);
    let refused = scene.proxy.chat(&call("steady", "Greet.")).send().await.expect("an answer");
    assert_eq!(refused.status(), 429);
    let pause =
        |refused: Value| refused["detail"].to_string().contains("maestro.breaker.throttled");
    until("a pause", || async { pause(scene.choose("steady").await).then_some(()) }).await;
    let refused = scene.proxy.chat(&call("steady", "Greet.")).send().await.expect("an answer");
    assert_eq!((refused.status().as_u16(), scene.providers.calls("steady")), (503, 1));
}

#[tokio::test]
async fn without_a_router_only_what_bears_no_tags_passes() {
    let providers = Providers::start("act").await;
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = format!("http://{}", silent.local_addr().expect("an address"));
    let variables = [
        ("MAESTRO_SERVER", server.as_str()),
        ("MAESTRO_TOKEN", TOKEN),
        ("MAESTRO_HOOK_TIMEOUT_MS", "20"),
    ];
    let proxy = Proxy::start(&providers.rendered(), &variables).await;
    let asked = call("talks", "Greet.");
    let plain = proxy.chat(&asked).send().await.expect("an answer");
    assert_eq!(decision(&plain), "");
    assert!(answered(plain).await.contains("talks says this"));

    let by_header = proxy.chat(&asked).header("x-litellm-tags", "pii").send().await;
    assert_eq!(by_header.expect("an answer").status(), 503);
    for key in ["tags", "maestro_tags"] {
        let mut asked = asked.clone();
        asked["metadata"] = json!({ key: ["pii"] });
        let tagged = proxy.chat(&asked).send().await.expect("an answer");
        assert_eq!(tagged.status(), 503, "{key}");
    }
    assert_eq!((providers.calls("talks"), providers.calls("keeps")), (1, 0));
}

#[tokio::test]
async fn every_call_is_answered_with_the_hook_and_without_and_the_difference_is_told() {
    const CALLS: usize = 200;
    let scene = Scene::set("act").await;
    let rendered = scene.providers.rendered();
    let plain = rendered.replace("  callbacks:\n  - maestro_hook.instance\n", "");
    assert_ne!(plain, rendered);
    let plain = Proxy::start(&plain, &[]).await;
    let mut medians = Vec::new();
    for proxy in [&plain, &scene.proxy] {
        let mut times = Vec::new();
        for _ in 0..CALLS {
            let begun = Instant::now();
            let asked = proxy.chat(&call("keeps", "Greet.")).send().await.expect("an answer");
            answered(asked).await;
            times.push(begun.elapsed());
        }
        times.sort();
        medians.push(times[CALLS / 2]);
    }
    assert_eq!(scene.providers.calls("keeps"), 2 * CALLS);
    let [without, with] = medians[..] else { unreachable!("two proxies") };
    let added = with.saturating_sub(without).max(Duration::ZERO);
    eprintln!("p50 of {CALLS} calls: {without:?} without, {with:?} with; the hook adds {added:?}");
}

//! Calls of models that the router decides: a run on real servers, through LiteLLM's own proxy.

use std::sync::Arc;

use maestro_cli::service::api::{self, Parts};
use maestro_llm::{Gateway, LlmPool, POOL};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::{Plan, RetryPolicy};
use maestro_server::routing;
use maestro_streams::topology::Role;
use maestro_tests::harness::{Cluster, plan_of};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::provider::Turn;
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

struct Scene {
    cluster: Cluster,
    rows: PgPool,
    _running: (maestro_tests::harness::Running, maestro_kit::session::Worker),
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    async fn new(mode: &str) -> Self {
        let cluster = Cluster::start(&[POOL]).await;
        let config = cluster.dir().join("litellm.yaml");
        std::fs::write(&config, CONFIG.replace("MODE", mode)).expect("a file");
        let coordinator = cluster.coordinator("one");
        let rows = cluster.rows().await;
        let stop = CancellationToken::new();
        maestro_tests::harness::until("the tables", || async {
            sqlx::query("select from route_decision").execute(&rows).await.ok()
        })
        .await;
        let parts = Parts {
            bus: cluster.bus(&Role::Api, "api"),
            database_url: &cluster.postgres.url(),
            objects: cluster.store.clone(),
            metrics: maestro_telemetry::metrics::Metrics::new(),
            router: routing::Options { config: Some(config), policies: None },
        };
        api::open(parts, &stop).await.expect("the API opens");
        let (proxy, provider) = shared().await;
        provider.script("failing", [Turn::Refuse(503)]);
        provider.script("steady", [Turn::Say("from the steady one".to_owned())]);
        provider.script("inhouse", [Turn::Say("from our own".to_owned())]);
        let pool = LlmPool::new(Gateway::Kept(Arc::new(proxy.clone()))).expect("a pool");
        let name = POOL.parse().expect("a name");
        let worker = cluster.serve("w", 4, name, Arc::new(pool)).await;
        let _stop = stop.drop_guard();
        Self { cluster, rows, _running: (coordinator, worker), _stop }
    }

    /// Runs one step to its end; answers its state, and its outputs or else its failure.
    async fn ask(&self, with: Value) -> (String, RunId, Value) {
        let run = self.cluster.submit(plan(with), 1).await;
        let state = self.cluster.ended(&self.rows, run).await;
        let outputs: Option<String> = sqlx::query_scalar(
            "select coalesce(outputs, failure)::text from attempt where run = $1 order by number desc limit 1",
        )
        .bind(run.uuid())
        .fetch_one(&self.rows)
        .await
        .expect("an attempt");
        let outputs = outputs.map(|text| serde_json::from_str(&text).expect("JSON"));
        (state, run, outputs.unwrap_or_default())
    }

    /// The deployments that a run's calls went to, in order, each with whether a decision is known.
    async fn calls(&self, run: RunId) -> Vec<(String, bool)> {
        sqlx::query_as(
            "select model, decision is not null from model_call where run = $1 order by ordinal",
        )
        .bind(run.uuid())
        .fetch_all(&self.rows)
        .await
        .expect("calls")
    }
}

fn plan(with: Value) -> Plan {
    let mut plan = plan_of(&[("ask", POOL, "litellm.generate", &[])]);
    plan.nodes[0].with = with;
    plan.nodes[0].retry = RetryPolicy { retries_max: 0, ..RetryPolicy::default() };
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_router_acts_a_model_that_fails_gives_way_to_the_next_and_personal_data_stays() {
    let scene = Scene::new("act").await;
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

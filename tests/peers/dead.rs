//! A provider that is dead, and a fleet that would like to call it: after the trip it is tried out once
//! per probe interval, by all workers and routers together.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maestro_cli::service::api::{self, Parts};
use maestro_llm::{Endpoint, Gateway, LlmPool, POOL};
use maestro_router::config::Config;
use maestro_router::render::{Callers, Options, render};
use maestro_schemas::plan::{ForEach, Items, Plan, RetryPolicy};
use maestro_streams::topology::Role;
use maestro_tests::harness::{Cluster, plan_of, until};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::hook::router;
use crate::plain::Proxy;
use crate::provider::{Provider, Turn};

const WORKERS: usize = 16;
const CALLS: u32 = 500;
/// The proxy answers some ten calls a second on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
const INTERVAL: Duration = Duration::from_secs(1);

/// It takes connections, notes when, and ends them at once.
async fn dead() -> (String, Arc<Mutex<Vec<Instant>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::<Mutex<Vec<Instant>>>::default();
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            noted.lock().expect("the times").push(Instant::now());
            // The caller's last words are not read, so it sees a reset.
            let _ = connection.set_zero_linger();
        }
    });
    (format!("http://{address}/v1"), asked)
}

fn plan() -> Plan {
    let mut plan = plan_of(&[("each", POOL, "litellm.generate", &[])]);
    let node = &mut plan.nodes[0];
    node.with = json!({ "model": "dead", "prompt": "Greet.", "objectives": "quality" });
    node.for_each =
        Some(ForEach { items: Items::Range(CALLS), parallel_max: None, fail_fast: false });
    node.retry = RetryPolicy { retries_max: 3, delay_ms: 50, ..RetryPolicy::default() };
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_workers_and_two_routers_try_a_dead_provider_out_once_per_interval_together() {
    let provider = Provider::start().await;
    let answer = || Turn::Talk("Good morning to you".to_owned(), Duration::from_millis(100));
    provider.script("alive", [answer()]);
    let (address, asked) = dead().await;
    let mut models = [provider.deployment("dead"), provider.deployment("alive")];
    models[0]["litellm_params"]["api_base"] = json!(address);
    for (model, quality) in models.iter_mut().zip([0.9, 0.5]) {
        model["litellm_params"]["api_key"] = json!("os.environ/PROVIDER_KEY");
        model["maestro"] =
            json!({ "quality": { "default": quality }, "provider": model["model_name"] });
    }
    let config = json!({
        "model_list": models,
        "router": {
            "fallbacks": [{ "primary": "dead", "on_error": ["alive"] }],
            "modes": { "default": "act" },
            "breaker": { "probe_interval_ms": INTERVAL.as_millis() as u64 },
        },
    });
    let config = config.to_string();
    let cluster = Cluster::start(&[POOL]).await;
    let _coordinator = cluster.coordinator("one");
    let rows = cluster.rows().await;
    until("the tables", || async { sqlx::query("select from probe").execute(&rows).await.ok() })
        .await;
    let stop = CancellationToken::new();
    let _end = stop.clone().drop_guard();
    for name in ["api-1", "api-2"] {
        let parts = Parts {
            bus: cluster.bus(&Role::Api, name),
            database_url: &cluster.postgres.url(),
            objects: cluster.store.clone(),
            metrics: maestro_telemetry::metrics::Metrics::new(),
            router: router(&cluster, &config),
            keys: None,
            keyring: Default::default(),
        };
        api::open(parts, &stop).await.expect("an API");
    }
    let read = Config::read(&config, "litellm.yaml").expect("a configuration");
    let rendered = render(&read, Options { offline: false, callers: Callers::WorkersOfItsOwn });
    let proxy = Proxy::start(&rendered, &[]).await;
    let (url, key) = proxy.gateway();
    let endpoint = Endpoint { url: url.to_owned(), key: Some(key.to_owned()), offline: None };
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let pool = LlmPool::new(Gateway::At(endpoint.clone())).expect("a pool");
        let name = POOL.parse().expect("a name");
        workers.push(cluster.serve(&format!("w-{number}"), 2, name, Arc::new(pool)).await);
    }
    let run = cluster.submit(plan(), 1).await;
    assert_eq!(cluster.ended_within(PATIENCE, &rows, run).await, "succeeded");

    let asked = asked.lock().expect("the times").clone();
    let gaps: Vec<Duration> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    // Permits are an interval apart; on its way through the proxy a call may be late by some of that.
    let is_close = |gap: &Duration| *gap < INTERVAL.mul_f64(0.4);
    // What was under way when the first failures were told is over after this many.
    let trip = gaps.iter().rposition(is_close).map_or(0, |place| place + 1);
    let probes = &gaps[trip..];
    eprintln!("{} calls before the trip, then probes apart by {probes:?}", trip + 1);
    assert!(
        trip < 2 * WORKERS + 8,
        "call {trip} came within an interval of the one before: {gaps:?}"
    );
    assert!(probes.len() >= 5, "too few probes to tell: {probes:?}");
    let span: Duration = probes.iter().sum();
    let most = span.as_secs_f64() / INTERVAL.as_secs_f64() + 1.0;
    assert!(probes.len() as f64 <= most, "more than one probe per interval: {probes:?}");
}

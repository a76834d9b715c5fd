//! A brownout: of four providers one refuses connections, one answers 503 or takes its time, one cuts its
//! streams, and one is well but for a while takes less than it is asked for. Runs through workers, the
//! router and LiteLLM's own proxy; the providers are doubles, since real ones cannot be made to fail so.
//!
//! `MAESTRO_BROWNOUT_REQUESTS` says how many requests there are; what is printed is measured, not tested.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use maestro_kit::session::Worker;
use maestro_llm::{Endpoint, Gateway, LlmPool, POOL};
use maestro_router::config::Config;
use maestro_router::render::{Callers, Options, render};
use maestro_router::simulate::bound::{Confidence, wilson};
use maestro_schemas::artifact::{Artifact, LOG_ROLE};
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::plan::{ForEach, Items, Plan, RetryPolicy};
use maestro_tests::harness::{Cluster, Running, plan_of, until};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::hook::{router, serve_api};
use crate::plain::Proxy;
use crate::provider::{Provider, Turn};

/// Requests where nothing else is said: enough of them fail at first to tell 98 % from less.
const REQUESTS: u32 = 5_000;
/// Every tenth holds personal data, which one provider alone may be shown.
const PERSONAL_SHARE: u32 = 10;
const WORKERS: usize = 4;
/// For a run, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);
const SLOTS: u32 = 16;
/// How long the healthy one takes less than it is asked for, and how much of it.
const LIMITED: Duration = Duration::from_secs(10);
const LIMITED_SHARE: f64 = 0.6;
/// An answer within this is in time, from the first call on.
const IN_TIME: Duration = Duration::from_secs(30);
const ANSWER: &str = "Good morning to all of you";
const IBAN: &str = "Pay the rent to DE89 3704 0044 0532 0130 00.";
/// Each with the price of a token in millionths of a dollar: the healthy one is the dearest.
const PROVIDERS: [(&str, u64); 4] = [("refuses", 1), ("falters", 2), ("cuts", 2), ("healthy", 5)];

struct Scene {
    cluster: Cluster,
    rows: PgPool,
    providers: Vec<Provider>,
    _running: (Running, Vec<Worker>, Proxy, DropGuard),
}

/// What became of the requests of a run.
#[derive(Debug)]
struct Told {
    requests: usize,
    answered: usize,
    /// Requests of which a call failed, and how many of those were answered in time.
    fell_back: usize,
    recovered: usize,
    p95: Duration,
    microusd: i64,
    took: Duration,
}

impl Scene {
    async fn set() -> Self {
        let mut providers = Vec::new();
        let mut models = Vec::new();
        for (name, price) in PROVIDERS {
            let provider = Provider::start().await;
            let mut model = provider.deployment(name);
            for key in ["input_cost_per_token", "output_cost_per_token"] {
                model["model_info"][key] = json!(price as f64 / 1e6);
            }
            model["litellm_params"]["api_key"] = json!("os.environ/PROVIDER_KEY");
            model["maestro"] = json!({ "quality": { "default": 0.8 }, "provider": name });
            provider.script(name, [Turn::Say(ANSWER.to_owned())]);
            models.push(model);
            providers.push(provider);
        }
        let all = PROVIDERS.map(|(name, _)| name);
        let config = json!({
            "model_list": models,
            "router": {
                "groups": { "chat": all },
                "modes": { "default": "act" },
                "breaker": { "probe_interval_ms": 2_000 },
            },
            "policies": { "content_tags": { "pii": ["healthy"] } },
        });
        Self::with(config, providers).await
    }

    async fn with(config: Value, providers: Vec<Provider>) -> Self {
        let config = config.to_string();
        let cluster = Cluster::start(&[POOL]).await;
        let coordinator = cluster.coordinator("one");
        let rows = cluster.rows().await;
        until("the tables", || async {
            sqlx::query("select from probe").execute(&rows).await.ok()
        })
        .await;
        let stop = CancellationToken::new();
        serve_api(&cluster, router(&cluster, &config), &stop).await;
        let read = Config::read(&config, "litellm.yaml").expect("a configuration");
        let rendered = render(&read, Options { offline: false, callers: Callers::WorkersOfItsOwn });
        let proxy = Proxy::start(&rendered, &[]).await;
        let (url, key) = proxy.gateway();
        let endpoint = Endpoint { url: url.to_owned(), key: Some(key.to_owned()), offline: None };
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            let pool = LlmPool::new(Gateway::At(endpoint.clone())).expect("a pool");
            let name = POOL.parse().expect("a name");
            workers.push(cluster.serve(&format!("w-{number}"), SLOTS, name, Arc::new(pool)).await);
        }
        let _running = (coordinator, workers, proxy, stop.drop_guard());
        Self { cluster, rows, providers, _running }
    }

    fn of(&self, name: &str) -> &Provider {
        let place = PROVIDERS.iter().position(|(other, _)| *other == name).expect("a provider");
        &self.providers[place]
    }

    /// All of it begins.
    async fn brown_out(&self, load_per_s: f64) -> Arc<AtomicUsize> {
        self.of("refuses").refuse();
        self.of("falters").behave("falters", |call| match call % 5 {
            0 | 2 => Turn::Pause(503),
            _ => Turn::Later(ANSWER.to_owned(), Duration::from_secs(5)),
        });
        let cuts = Arc::<AtomicUsize>::default();
        let counted = cuts.clone();
        self.of("cuts").behave("cuts", move |call| match call % 2 {
            0 => {
                counted.fetch_add(1, Ordering::Relaxed);
                Turn::Cut(ANSWER.to_owned())
            }
            _ => Turn::Say(ANSWER.to_owned()),
        });
        let began = Instant::now();
        let mut taken = 0.0;
        self.of("healthy").behave("healthy", move |_| {
            let elapsed = began.elapsed();
            if elapsed < LIMITED && taken >= elapsed.as_secs_f64() * load_per_s * LIMITED_SHARE {
                return Turn::Pause(429);
            }
            taken += 1.0;
            Turn::Say(ANSWER.to_owned())
        });
        cuts
    }

    async fn run(&self, requests: u32) -> (RunId, Told) {
        let began = Instant::now();
        let run = self.cluster.submit(plan(requests), 1).await;
        let state = self.cluster.ended_within(PATIENCE, &self.rows, run).await;
        let took = began.elapsed();
        eprintln!("a run of {requests} requests {state} after {took:.1?}");
        (run, self.told(run, took).await)
    }

    async fn told(&self, run: RunId, took: Duration) -> Told {
        // From the first call to the answer, and how many calls that took.
        let rows: Vec<(bool, i64, i64)> = sqlx::query_as(
            "select coalesce(bool_or(a.state = 'succeeded'), false),
                    coalesce(max(a.ended_at_ms) - min(c.began), 0), coalesce(max(c.calls), 0)
               from attempt a
               left join (select node, item, min(at_ms) as began, count(*) as calls
                            from model_call where run = $1 and not unmade group by node, item) c
                 on c.node = a.node and c.item = a.item
              where a.run = $1 group by a.node, a.item",
        )
        .bind(run.uuid())
        .fetch_all(&self.rows)
        .await
        .expect("rows");
        let microusd = sqlx::query_scalar(
            "select coalesce(sum(cost_microusd), 0)::bigint from model_call where run = $1",
        )
        .bind(run.uuid())
        .fetch_one(&self.rows)
        .await
        .expect("a sum");
        let is_in_time = |(ok, ms, _): &&(bool, i64, i64)| {
            *ok && Duration::from_millis((*ms).try_into().unwrap_or(u64::MAX)) <= IN_TIME
        };
        let again = || rows.iter().filter(|(_, _, calls)| *calls > 1);
        let mut times: Vec<i64> = rows.iter().map(|(_, ms, _)| *ms).collect();
        times.sort_unstable();
        let p95 = times.get(times.len() * 95 / 100).copied().unwrap_or(0);
        Told {
            requests: rows.len(),
            answered: rows.iter().filter(is_in_time).count(),
            fell_back: again().count(),
            recovered: again().filter(is_in_time).count(),
            p95: Duration::from_millis(u64::try_from(p95).unwrap_or(0)),
            microusd,
            took,
        }
    }
}

fn plan(requests: u32) -> Plan {
    let personal = requests / PERSONAL_SHARE;
    let mut plan = plan_of(&[
        ("plain", POOL, "litellm.generate", &[]),
        ("personal", POOL, "litellm.generate", &[]),
    ]);
    for (node, (count, prompt)) in
        plan.nodes.iter_mut().zip([(requests - personal, "Greet them."), (personal, IBAN)])
    {
        node.with = json!({ "model": "chat", "prompt": prompt, "max_tokens": 50 });
        // As many at once as are asked for at once, so that whoever is asked again waits for no backlog.
        let at_once = (WORKERS as u32 * SLOTS * count).div_ceil(requests);
        node.for_each = Some(ForEach {
            items: Items::Range(count),
            parallel_max: std::num::NonZeroU32::new(at_once),
            fail_fast: false,
        });
        node.allow_failure = true;
        node.retry = RetryPolicy {
            retries_max: 8,
            delay_ms: 500,
            factor: 1.5,
            delay_ms_max: 4_000,
            on: vec![FailureClass::Transient, FailureClass::Throttled],
        };
    }
    plan
}

fn share(part: usize, of: usize) -> (f64, f64) {
    let share = part as f64 / of.max(1) as f64;
    let (least, _) = wilson(share, of as f64, Confidence::new(0.95).expect("a confidence"));
    (share * 100.0, least * 100.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_through_a_brownout_and_nothing_personal_goes_elsewhere() {
    let wanted = std::env::var("MAESTRO_BROWNOUT_REQUESTS").ok();
    let requests = wanted.and_then(|text| text.parse().ok()).unwrap_or(REQUESTS);
    let scene = Scene::set().await;
    let (_, well) = scene.run(200).await;
    assert_eq!(well.answered, well.requests, "{well:?}");
    let load = well.requests as f64 / well.took.as_secs_f64();
    let cuts = scene.brown_out(load).await;
    let (run, told) = scene.run(requests).await;

    let (all, all_least) = share(told.answered, told.requests);
    let (back, back_least) = share(told.recovered, told.fell_back);
    let spend = |told: &Told| told.microusd as f64 / told.requests as f64;
    eprintln!("load {load:.0}/s; the healthy one limited to {LIMITED_SHARE} of it for {LIMITED:?}");
    eprintln!(
        "answered within {IN_TIME:?}: {} of {}, {all:.2} %, lower bound {all_least:.2} %",
        told.answered, told.requests
    );
    eprintln!(
        "of those of which a call failed: {} of {}, {back:.2} %, lower bound {back_least:.2} %",
        told.recovered, told.fell_back
    );
    eprintln!(
        "p95 {:?}, was {:?}; a request cost {:.1} millionths of a dollar, was {:.1}",
        told.p95,
        well.p95,
        spend(&told),
        spend(&well)
    );
    for name in ["refuses", "falters", "cuts"] {
        let leaked = scene.of(name).seen(name).iter().any(|body| body.to_string().contains("3704"));
        assert!(!leaked, "{name} was shown personal data");
    }
    let shown = superseded(&scene, run).await;
    let cuts = cuts.load(Ordering::Relaxed);
    eprintln!("{cuts} streams were cut; {shown} texts are marked as superseded");
    assert!(all_least > 98.0, "{told:?}");
    // Else nothing was tested of what follows a failure.
    assert!(told.fell_back > 0 && told.recovered > 0, "{told:?}");
    assert!(cuts > 0 && shown > 0, "{cuts} streams were cut, {shown} texts are marked");
}

/// How many texts that were shown before a cut are marked so. Fails where one is not.
async fn superseded(scene: &Scene, run: RunId) -> usize {
    let lists: Vec<String> = sqlx::query_scalar(
        "select artifacts::text from attempt where run = $1 and artifacts is not null",
    )
    .bind(run.uuid())
    .fetch_all(&scene.rows)
    .await
    .expect("artifacts");
    let mut marked = 0;
    for list in lists {
        let artifacts: Vec<Artifact> = serde_json::from_str(&list).expect("artifacts");
        let Some(log) = artifacts.iter().find(|one| one.role == LOG_ROLE) else { continue };
        let log = scene.cluster.store.get(log.digest, 1 << 20).await.expect("a log");
        let log = String::from_utf8_lossy(&log).into_owned();
        let (shown, marks) = (log.matches("Good ").count(), log.matches("[superseded: ").count());
        assert!(shown <= marks + 1, "a text is not marked as superseded: {log}");
        marked += shown.saturating_sub(1);
    }
    marked
}

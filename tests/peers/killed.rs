//! Workers that are killed while they call models: what each attempt may spend holds over all its
//! executions, and the ledger has what the provider asks for.

use std::time::Duration;

use maestro_llm::POOL;
use maestro_router::config::Config;
use maestro_router::render::{Callers, Options, render};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::{ForEach, Items, Plan, RetryPolicy};
use maestro_tests::harness::{Cluster, Process, plan_of, until};
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::hook::{TOKEN, router, serve_api};
use crate::plain::Proxy;
use crate::provider::{Provider, Turn};

const MODEL: &str = "talks";
/// Items of the fan-out, all of them at once.
const ITEMS: u32 = 64;
const WORKERS: usize = 4;
/// For all of it, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Of a dollar, in millionths.
const CENT: u64 = 10_000;
/// What a token costs, in and out alike, in millionths of a dollar.
const TOKEN_MICROUSD: u64 = 200;
const ANSWER: &str = "one two three four five six seven eight nine ten";
/// What an attempt may cost: its worst case thrice.
const CAP: u64 = 90_000;

struct Scene {
    workers: Vec<Process>,
    proxy: Proxy,
    provider: Provider,
    rows: PgPool,
    stop: CancellationToken,
    _coordinator: maestro_tests::harness::Running,
    cluster: Cluster,
}

impl Scene {
    async fn set() -> Self {
        let provider = Provider::start().await;
        let mut deployment = provider.deployment(MODEL);
        for key in ["input_cost_per_token", "output_cost_per_token"] {
            deployment["model_info"][key] = json!(TOKEN_MICROUSD as f64 / 1e6);
        }
        deployment["litellm_params"]["api_key"] = json!("os.environ/PROVIDER_KEY");
        let config = json!({ "model_list": [deployment] }).to_string();
        let cluster = Cluster::start(&[POOL]).await;
        let coordinator = cluster.coordinator("one");
        let rows = cluster.rows().await;
        let stop = CancellationToken::new();
        let server = serve_api(&cluster, router(&cluster, &config), &stop).await;
        let read = Config::read(&config, "litellm.yaml").expect("a configuration");
        let rendered = render(&read, Options { offline: false, callers: Callers::Workers });
        let variables = [("MAESTRO_SERVER", server.as_str()), ("MAESTRO_TOKEN", TOKEN)];
        let proxy = Proxy::start(&rendered, &variables).await;
        let mut scene = Self {
            workers: Vec::new(),
            proxy,
            provider,
            rows,
            stop,
            _coordinator: coordinator,
            cluster,
        };
        (0..WORKERS).for_each(|_| scene.hire());
        scene
    }

    fn hire(&mut self) {
        let name = format!("worker-{}", self.workers.len());
        let slots = ITEMS / WORKERS as u32;
        let worker = self.cluster.spawn_llm_worker(&name, slots, self.proxy.gateway());
        self.workers.push(worker);
    }

    /// Kills a worker in the middle of its calls, and hires another.
    async fn kill(&mut self, worker: usize, calls: usize) {
        until("calls of the model", || async {
            (self.provider.seen(MODEL).len() >= calls).then_some(())
        })
        .await;
        self.workers[worker].kill().await;
        self.hire();
    }

    async fn number(&self, sql: &'static str, run: RunId) -> i64 {
        sqlx::query_scalar(sql).bind(run.uuid()).fetch_one(&self.rows).await.expect("a number")
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn plan() -> Plan {
    let mut plan = plan_of(&[("each", POOL, "litellm.generate", &[])]);
    let node = &mut plan.nodes[0];
    node.with = json!({ "model": MODEL, "prompt": "Count to ten.", "max_tokens": 30 });
    node.for_each =
        Some(ForEach { items: Items::Range(ITEMS), parallel_max: None, fail_fast: false });
    node.budget_microusd = Some(CAP);
    node.retry = RetryPolicy { retries_max: 3, delay_ms: 50, ..RetryPolicy::default() };
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_the_providers_bill_and_no_cap_is_passed_though_workers_are_killed() {
    let mut scene = Scene::set().await;
    let talk = || Turn::Talk(ANSWER.to_owned(), Duration::from_millis(300));
    // Some calls are refused, so that attempts follow each other too.
    let turns = (0..200).map(|call| if call % 9 == 4 { Turn::Refuse(503) } else { talk() });
    scene.provider.script(MODEL, turns.chain([talk()]));
    let run = scene.cluster.submit(plan(), 1).await;
    for (worker, calls) in [(0, 24), (1, 48), (4, 72)] {
        scene.kill(worker, calls).await;
    }
    assert_eq!(scene.cluster.ended_within(PATIENCE, &scene.rows, run).await, "succeeded");

    let unsettled = "select count(*) from model_call where run = $1 and not settled";
    until("a price for each call", || async {
        (scene.number(unsettled, run).await == 0).then_some(())
    })
    .await;
    let dearest =
        "select coalesce(max(sum), 0)::bigint from (select sum(cost_microusd) from model_call
                    where run = $1 group by item, attempt) each";
    let dearest = scene.number(dearest, run).await;
    assert!(u64::try_from(dearest).unwrap() <= CAP, "an attempt cost {dearest}");
    // Calls that a killed worker had made, and that had begun to be answered.
    let cut = "select count(*) from model_call where run = $1 and cost_microusd > 0 and output_tokens < 10";
    let cut = u64::try_from(scene.number(cut, run).await).expect("a count");
    assert!(cut > 0, "no killed worker's call was paid for");
    let sum = "select coalesce(sum(cost_microusd), 0)::bigint from model_call where run = $1";
    let ledger = u64::try_from(scene.number(sum, run).await).expect("a sum");
    let bill = scene.provider.tokens(MODEL) * TOKEN_MICROUSD;
    let calls = scene.provider.seen(MODEL).len();
    eprintln!("{calls} calls, {cut} of them cut: the ledger has {ledger}, the bill {bill}");
    // A word may have been said that nobody heard any more.
    assert!(
        ledger <= bill && bill - ledger <= (cut * TOKEN_MICROUSD).min(CENT),
        "{cut} calls were cut; the ledger says {ledger}, the bill {bill}"
    );
}

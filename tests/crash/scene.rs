//! Servers, coordinators and workers at work on a run of 1,000 steps, and what must come of it.

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::plan::{ForEach, Items, Plan};
use maestro_tests::harness::{Cluster, Process, SCRIPTED_POOL, ScriptedWorker, plan_of, until};
use serde_json::{Value, json};
use sqlx::PgPool;

/// How many steps the run has.
pub const STEPS: usize = 1_000;

const CHAIN: u32 = 49;
const ITEMS: u32 = 950;
const STEP_MS: u64 = 10;
/// How many steps have ended when something is killed.
const MIDDLE: i64 = 300;
const SLOTS: u32 = 8;

/// What each step said, by node, item and visit.
pub type Said = BTreeMap<(i32, i32, i32), Value>;

/// A shard's lease, as it stands.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Lease {
    pub id: i32,
    pub owner: Option<String>,
    pub epoch: i64,
    pub batch: i64,
}

/// Processes come first, so that they end before the servers do.
pub struct Scene {
    pub workers: Vec<ScriptedWorker>,
    pub coordinators: Vec<Process>,
    pub rows: PgPool,
    pub cluster: Cluster,
}

impl Scene {
    /// Starts coordinators of these names, waits until they share the shards, and starts workers.
    pub async fn set(names: &[&str], workers: usize) -> Self {
        let cluster = Cluster::start(&[SCRIPTED_POOL, "build"]).await;
        let coordinators = names.iter().map(|name| cluster.spawn_coordinator(name)).collect();
        let rows = cluster.rows().await;
        let mut scene = Self { workers: Vec::new(), coordinators, rows, cluster };
        until("an even share of the shards", || async {
            let leases = scene.leases().await?;
            let part = |name: &&str| {
                leases.iter().filter(|lease| lease.owner.as_deref() == Some(*name)).count()
            };
            (leases.len() == 4 && names.iter().all(|name| part(name) == 4 / names.len()))
                .then_some(())
        })
        .await;
        scene.workers = (0..workers)
            .map(|index| scene.cluster.spawn_worker(&format!("worker-{index}"), SLOTS))
            .collect();
        scene
    }

    /// The leases; nothing while the database is away or has no tables yet.
    pub async fn leases(&self) -> Option<Vec<Lease>> {
        sqlx::query_as("select id, owner, epoch, batch from shard order by id")
            .fetch_all(&self.rows)
            .await
            .ok()
    }

    /// What the steps say when nothing happens.
    pub async fn undisturbed(&self) -> Said {
        let run = self.cluster.submit(thousand_steps(), 0).await;
        self.check_whole(run).await;
        self.said(run).await
    }

    /// Begins a run and waits until it is in its middle.
    pub async fn half_way(&self, shard: u16) -> RunId {
        let run = self.cluster.submit(thousand_steps(), shard).await;
        until("the middle of the run", || async {
            (self.count("select count(*) from attempt where run = $1", run).await >= MIDDLE)
                .then_some(())
        })
        .await;
        run
    }

    /// Fails where the run had ended before something happened to it.
    pub async fn check_unfinished(&self, run: RunId) {
        let ended = self
            .count("select count(*) from run where id = $1 and ended_at_ms is not null", run)
            .await;
        assert_eq!(ended, 0, "the run was over before anything happened to it");
    }

    /// Waits for the run's end: every step succeeded at its first attempt, each was recorded once,
    /// and each said what it says in an undisturbed run.
    pub async fn check_equal(&self, run: RunId, undisturbed: &Said) {
        self.check_whole(run).await;
        assert!(
            self.said(run).await == *undisturbed,
            "steps said something else than in an undisturbed run"
        );
    }

    async fn check_whole(&self, run: RunId) {
        assert_eq!(self.cluster.ended(&self.rows, run).await, "succeeded");
        let said = self.said(run).await;
        assert_eq!(said.len(), STEPS);
        let attempts = self.count("select count(*) from attempt where run = $1", run).await;
        assert_eq!(usize::try_from(attempts), Ok(STEPS), "attempts for {STEPS} steps");
        let live = self.count("select count(*) from dispatch where run = $1", run).await;
        assert_eq!(live, 0, "live attempts of a run that has ended");
    }

    /// What every step said; fails where one is recorded twice.
    async fn said(&self, run: RunId) -> Said {
        let rows: Vec<(i32, i32, i32, String)> = sqlx::query_as(
            "select node, item, visit, outputs::text from attempt where run = $1 and state = 'succeeded'",
        )
        .bind(run.uuid())
        .fetch_all(&self.rows)
        .await
        .expect("rows");
        let recorded = rows.len();
        let said: Said = rows
            .into_iter()
            .map(|(node, item, visit, text)| {
                ((node, item, visit), serde_json::from_str(&text).expect("JSON"))
            })
            .collect();
        assert_eq!(said.len(), recorded, "a step is recorded twice");
        said
    }

    /// A count of rows of a run.
    pub async fn count(&self, sql: &'static str, run: RunId) -> i64 {
        sqlx::query_scalar(sql).bind(run.uuid()).fetch_one(&self.rows).await.expect("a count")
    }
}

/// A fan-out beside a chain whose steps read each other's outputs, and a step after both.
fn thousand_steps() -> Plan {
    let names: Vec<String> = (1..=CHAIN).map(|index| format!("link-{index}")).collect();
    let needs: Vec<[u32; 1]> = (0..CHAIN).map(|index| [index]).collect();
    let mut nodes: Vec<(&str, &str, &str, &[u32])> = vec![("each", SCRIPTED_POOL, "noop", &[])];
    for (index, name) in names.iter().enumerate() {
        let needs: &[u32] = if index == 0 { &[] } else { &needs[index] };
        nodes.push((name, SCRIPTED_POOL, "noop", needs));
    }
    nodes.push(("last", SCRIPTED_POOL, "noop", &[0, CHAIN]));
    let mut plan = plan_of(&nodes);
    for (index, node) in plan.nodes.iter_mut().enumerate() {
        node.with = json!({ "ms": STEP_MS });
        if (2..=CHAIN as usize).contains(&index) {
            node.templated = true;
            node.reads.clone_from(&node.needs);
            let before = format!("{{{{ steps['main/link-{}'].outputs.sum }}}}", index - 1);
            node.with = json!({ "ms": STEP_MS, "before": before });
        }
    }
    plan.nodes[0].for_each = Some(fan_out(ITEMS));
    plan
}

/// A fan-out of so many items.
pub fn fan_out(items: u32) -> ForEach {
    ForEach { items: Items::Range(items), parallel_max: None, fail_fast: false }
}

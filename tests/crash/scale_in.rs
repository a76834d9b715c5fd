//! Workers that come and go under load.

use std::collections::{HashMap, VecDeque};

use maestro_schemas::id::RunId;
use maestro_tests::harness::{SCRIPTED_POOL, ScriptedWorker, plan_of, until};
use serde_json::json;
use tokio::sync::Mutex;

use crate::scene::{Scene, fan_out};

const SCALE_INS: usize = 50;
const ITEMS: u32 = 100;
const SLOTS: u32 = 4;

/// Runs, of which two are always under way.
#[derive(Default)]
struct Load(Mutex<Vec<RunId>>);

impl Load {
    async fn keep_up(&self, scene: &Scene) {
        let mut runs = self.0.lock().await;
        let ended: i64 =
            sqlx::query_scalar("select count(*) from run where ended_at_ms is not null")
                .fetch_one(&scene.rows)
                .await
                .expect("a count");
        while runs.len() < usize::try_from(ended).expect("a count") + 2 {
            let mut plan = plan_of(&[("each", SCRIPTED_POOL, "noop", &[])]);
            plan.nodes[0].with = json!({ "ms": 20 });
            plan.nodes[0].for_each = Some(fan_out(ITEMS));
            let shard = u16::try_from(runs.len() % 4).expect("a shard");
            runs.push(scene.cluster.submit(plan, shard).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_scale_ins_under_load_lose_no_attempt() {
    let mut scene = Scene::set(&["one"], 0).await;
    let load = Load::default();
    let mut workers: VecDeque<ScriptedWorker> =
        (0..2).map(|index| scene.cluster.spawn_worker(&format!("w-{index}"), SLOTS)).collect();
    let mut gone = Vec::new();
    while gone.len() < SCALE_INS {
        load.keep_up(&scene).await;
        workers.push_back(scene.cluster.spawn_worker(&format!("w-{}", gone.len() + 2), SLOTS));
        let leaving = workers.pop_front().expect("a worker");
        until("work in the worker's hands", || async {
            load.keep_up(&scene).await;
            (!leaving.record.in_hand().is_empty()).then_some(())
        })
        .await;
        let status = leaving.process.terminate().await;
        assert!(status.success(), "{}: {status}", leaving.process.name);
        gone.push(leaving);
    }
    let runs = load.0.into_inner();
    for run in &runs {
        assert_eq!(scene.cluster.ended(&scene.rows, *run).await, "succeeded");
    }
    scene.workers = gone.into_iter().chain(workers).collect();
    check_nothing_lost(&scene, runs.len()).await;
}

/// Every step had one attempt, and each attempt one execution.
async fn check_nothing_lost(scene: &Scene, runs: usize) {
    let (attempts, number_max, succeeded): (i64, i32, i64) = sqlx::query_as(
        "select count(*), max(number), count(*) filter (where outcome = 'succeeded') from attempt",
    )
    .fetch_one(&scene.rows)
    .await
    .expect("a count");
    let steps = i64::try_from(runs).expect("a count") * i64::from(ITEMS);
    assert_eq!((attempts, number_max, succeeded), (steps, 1, steps));
    let mut executions: HashMap<String, Vec<&str>> = HashMap::new();
    for worker in &scene.workers {
        for begun in worker.record.begun() {
            executions.entry(begun.attempt).or_default().push(&worker.process.name);
        }
    }
    let repeated: Vec<_> = executions.iter().filter(|(_, workers)| workers.len() > 1).collect();
    assert!(repeated.is_empty(), "attempts with several executions: {repeated:?}");
}

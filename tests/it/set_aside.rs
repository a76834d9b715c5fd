//! Runs whose fan-outs made what cannot be read any more.

use std::sync::Arc;

use maestro_schemas::id::RunId;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::plan::{ForEach, Items, Plan};
use maestro_schemas::task::Task;
use maestro_tests::harness::{Cluster, Scripted, plan_of, until};
use sqlx::PgPool;
use tokio::sync::watch;

async fn count(rows: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(rows).await.expect("a count")
}

/// What a fan-out of two items made, and a step that reads it and is served by the pool `later`.
fn made_and_read(name: &str) -> Plan {
    let mut plan = plan_of(&[("make", "noop", "noop", &[]), ("read", "later", "noop", &[0])]);
    plan.name = name.into();
    plan.nodes[0].for_each =
        Some(ForEach { items: Items::Range(2), parallel_max: None, fail_fast: false });
    plan.nodes[1].reads = vec![0];
    plan.nodes[1].templated = true;
    plan.nodes[1].with = serde_json::json!({ "n": "{{ steps['main/make'].outputs | length }}" });
    plan
}

/// Makes what an item of a pipeline's fan-out made unreadable.
async fn spoil(rows: &PgPool, pipeline: &str) {
    let done = sqlx::query(
        "update attempt set outputs = '[1]' from run
          where run.id = run and pipeline = $1 and node = 0 and item = 0",
    )
    .bind(pipeline)
    .execute(rows)
    .await
    .expect("an update");
    assert_eq!(done.rows_affected(), 1);
}

async fn is_set_aside(cluster: &Cluster, rows: &PgPool, run: RunId) {
    assert_eq!(cluster.ended(rows, run).await, "quarantined");
    let cause: String = sqlx::query_scalar("select cause from run where id = $1")
        .bind(run.uuid())
        .fetch_one(rows)
        .await
        .expect("a cause");
    assert!(cause.starts_with("its rows cannot be read: attempt.outputs"), "{cause}");
}

/// Does nothing, and that only once it may, where `waits` says so.
fn gated(pool: &str, go: watch::Receiver<bool>, waits: fn(&Task) -> bool) -> Arc<Scripted> {
    Scripted::new(pool, move |execution| {
        let mut go = go.clone();
        async move {
            if waits(&execution.task) {
                let _ = go.wait_for(|go| *go).await;
            }
            Outcome::succeeded()
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_fan_out_made_what_cannot_be_read_is_set_aside_when_a_step_needs_it() {
    let cluster = Cluster::start(&["noop", "later"]).await;
    let coordinator = cluster.coordinator("one");
    let rows = cluster.rows().await;
    let (go, gone) = watch::channel(false);
    let worker = cluster.worker("w", 4, gated("noop", gone, |task| task.step.item == 1)).await;
    let later = cluster.worker("later", 4, Scripted::noop("later")).await;
    let spoiled = cluster.submit(made_and_read("spoiled"), 1).await;
    let whole = cluster.submit(made_and_read("whole"), 1).await;
    until("the first items' ends", || async {
        (count(&rows, "select count(*) from attempt").await == 2).then_some(())
    })
    .await;
    spoil(&rows, "spoiled").await;
    go.send(true).expect("a worker that waits");
    is_set_aside(&cluster, &rows, spoiled).await;
    assert_eq!(cluster.ended(&rows, whole).await, "succeeded");
    assert_eq!(count(&rows, "select count(*) from dispatch").await, 0);
    [worker, later].into_iter().for_each(|worker| worker.drain());
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_fan_out_made_what_cannot_be_read_keeps_no_shard_from_its_next_owner() {
    let cluster = Cluster::start(&["noop", "later"]).await;
    let coordinator = cluster.coordinator("one");
    let rows = cluster.rows().await;
    let (go, gone) = watch::channel(false);
    let worker = cluster.worker("w", 4, Scripted::noop("noop")).await;
    let later = cluster.worker("later", 4, gated("later", gone, |_| true)).await;
    let spoiled = cluster.submit(made_and_read("spoiled"), 1).await;
    let whole = cluster.submit(made_and_read("whole"), 1).await;
    until("the readers' dispatch", || async {
        let dispatched = "select count(*) from dispatch where node = 1";
        (count(&rows, dispatched).await == 2).then_some(())
    })
    .await;
    coordinator.stop().await;
    spoil(&rows, "spoiled").await;
    let coordinator = cluster.coordinator("one");
    is_set_aside(&cluster, &rows, spoiled).await;
    go.send(true).expect("a worker that waits");
    assert_eq!(cluster.ended(&rows, whole).await, "succeeded");
    [worker, later].into_iter().for_each(|worker| worker.drain());
    coordinator.stop().await;
}

//! Runs from the command to the row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::plan::{ForEach, Items, RetryPolicy};
use maestro_tests::harness::{Cluster, Scripted, plan_of, until};
use sqlx::PgPool;

async fn count(rows: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(rows).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_succeeds_and_leaves_nothing_in_flight() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let worker = cluster.worker("w", 4, Scripted::noop("noop")).await;
    let plan = plan_of(&[
        ("a", "noop", "noop", &[]),
        ("b", "noop", "noop", &[0]),
        ("c", "noop", "noop", &[1]),
    ]);
    let run = cluster.submit(plan, 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");
    assert_eq!(count(&rows, "select count(*) from dispatch").await, 0);
    assert_eq!(count(&rows, "select count(*) from attempt where state = 'succeeded'").await, 3);
    worker.drain();
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_retries_without_delay_all_run_within_a_second() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let failing =
        Scripted::new("noop", |_| async { Outcome::failed(FailureClass::Permanent, "on purpose") });
    let _worker = cluster.worker("w", 4, failing).await;
    let mut plan = plan_of(&[("a", "noop", "noop", &[])]);
    plan.nodes[0].retry = RetryPolicy {
        retries_max: 5,
        delay_ms: 0,
        on: vec![FailureClass::Permanent],
        ..RetryPolicy::default()
    };
    let run = cluster.submit(plan, 2).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "failed");
    assert_eq!(count(&rows, "select count(*) from attempt").await, 6);
    let spread = count(&rows, "select max(ended_at_ms) - min(decided_at_ms) from attempt").await;
    assert!(spread < 1_000, "six attempts took {spread} ms");
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_out_runs_every_item_once_although_it_is_larger_than_the_window() {
    let cluster = Cluster::start(&["noop"]).await;
    let coordinator = cluster.coordinator("one");
    let executed = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&executed);
    let counting = Scripted::new("noop", move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Outcome::succeeded() }
    });
    let _worker = cluster.worker("w", 64, counting).await;
    let mut plan = plan_of(&[("each", "noop", "noop", &[]), ("after", "noop", "noop", &[0])]);
    plan.nodes[0].for_each =
        Some(ForEach { items: Items::Range(2_000), parallel_max: None, fail_fast: false });
    let run = cluster.submit(plan, 0).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");
    assert_eq!(executed.load(Ordering::Relaxed), 2_001);
    assert_eq!(count(&rows, "select count(*) from attempt").await, 2_001);
    coordinator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_whose_rows_cannot_be_read_are_set_aside_and_others_go_on() {
    let cluster = Cluster::start(&["noop", "later"]).await;
    let coordinator = cluster.coordinator("one");
    let rows = cluster.rows().await;
    let mut plans = ["whole", "outputs", "plan"].map(|name| {
        let mut plan = plan_of(&[("a", "noop", "noop", &[]), ("b", "noop", "noop", &[0])]);
        plan.name = name.into();
        plan
    });
    // Nobody serves the second step yet.
    plans.iter_mut().for_each(|plan| plan.nodes[1].pool = "later".parse().expect("a name"));
    let worker = cluster.worker("w", 4, Scripted::noop("noop")).await;
    let mut runs = Vec::new();
    for plan in plans {
        runs.push(cluster.submit(plan, 1).await);
    }
    until("the first steps' ends", || async {
        let ended = count(&rows, "select count(*) from attempt where state = 'succeeded'").await;
        (ended == 3).then_some(())
    })
    .await;
    coordinator.stop().await;
    for sql in [
        "update attempt set outputs = '[1]' from run where run.id = run and pipeline = 'outputs'",
        "update plan set body = '{\"version\": 1}' from run
          where run.plan = digest and pipeline = 'plan'",
    ] {
        let done = sqlx::query(sql).execute(&rows).await.expect("an update");
        assert_eq!(done.rows_affected(), 1, "{sql}");
    }

    let coordinator = cluster.coordinator("one");
    for (run, what) in [(runs[1], "attempt.outputs"), (runs[2], "plan.body")] {
        assert_eq!(cluster.ended(&rows, run).await, "quarantined");
        let cause: String = sqlx::query_scalar("select cause from run where id = $1")
            .bind(run.uuid())
            .fetch_one(&rows)
            .await
            .expect("a cause");
        assert!(cause.contains(what), "{cause}");
        let event: String = sqlx::query_scalar(
            "select event::text from run_event where run = $1 order by batch desc limit 1",
        )
        .bind(run.uuid())
        .fetch_one(&rows)
        .await
        .expect("an event");
        assert!(event.contains("quarantined"), "{event}");
    }
    let later = cluster.worker("later", 4, Scripted::noop("later")).await;
    assert_eq!(cluster.ended(&rows, runs[0]).await, "succeeded");
    let next = cluster.submit(plan_of(&[("a", "noop", "noop", &[])]), 1).await;
    assert_eq!(cluster.ended(&rows, next).await, "succeeded");
    assert_eq!(count(&rows, "select count(*) from dispatch").await, 0);
    [worker, later].into_iter().for_each(|worker| worker.drain());
    coordinator.stop().await;
}

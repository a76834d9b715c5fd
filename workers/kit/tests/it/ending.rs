//! Workers that end, in both ways.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use maestro_kit::session::WorkerConfig;
use maestro_schemas::control::Drain;
use maestro_schemas::outcome::Outcome;
use maestro_streams::fetch::tasks::{Reading, TaskQueue};
use maestro_streams::topology::{Role, subject};

use crate::bus::{Bus, TestPool, pool, soon, task, within};

#[tokio::test]
async fn a_draining_worker_finishes_what_runs_and_gives_back_the_rest_at_once() {
    for prefetch in [false, true] {
        let mut bus = Bus::start().await;
        let slow = TestPool::default();
        let mut draining = bus.worker(1, prefetch, &slow).await;
        let tasks: Vec<_> = (0..6).map(|_| task("wait")).collect();
        for one in &tasks {
            bus.publish(one).await;
        }
        soon(slow.begun.happened()).await;
        bus.tell(subject::control_drain(&pool()), &Drain { worker: None }).await;
        bus.heartbeat(|heartbeat| heartbeat.draining).await;
        let other = TestPool::default();
        let _worker = bus.worker(8, true, &other).await;
        for _ in 0..5 {
            within(Duration::from_secs(3), other.begun.happened()).await;
            other.let_go.once_more();
            assert_eq!(bus.report().await.outcome, Outcome::succeeded());
        }
        slow.let_go.once_more();
        let last = bus.report().await;
        assert_eq!(last.worker, draining.id());
        soon(draining.finished()).await;
        bus.heartbeat(|heartbeat| heartbeat.leaving).await;
        soon(async { while bus.tasks_left().await > 0 {} }).await;
    }
}

#[tokio::test]
async fn what_does_not_end_in_time_goes_to_another_worker_unreported() {
    let mut bus = Bus::start().await;
    let config = WorkerConfig {
        name: "impatient".to_owned(),
        scratch: bus.scratch(),
        store: bus.store(),
        drain_max: Duration::from_millis(100),
        router: None,
    };
    let stuck = TestPool::default();
    let mut worker = bus.worker_of(config, 1, false, &stuck).await;
    bus.publish(&task("wait")).await;
    soon(stuck.begun.happened()).await;
    worker.drain();
    soon(worker.finished()).await;
    let other = TestPool::default();
    let next = bus.worker(1, false, &other).await;
    within(Duration::from_secs(3), other.begun.happened()).await;
    other.let_go.once_more();
    let report = bus.report().await;
    assert_eq!(report.worker, next.id());
    assert_eq!(report.outcome, Outcome::succeeded());
}

#[tokio::test]
async fn a_killed_workers_task_begins_elsewhere_within_five_seconds_and_alone() {
    let mut bus = Bus::start().await;
    let (doomed, other) = (bus.server.connect(&Role::Worker(pool())).await, TestPool::default());
    bus.publish(&task("wait")).await;
    let mut queue = TaskQueue::open(&doomed, &pool(), Reading::Exact).await.expect("a queue");
    // As good as killed: the task is taken, and nobody renews it.
    let taken = soon(queue.next(1)).await.expect("a task");
    let killed_at = Instant::now();
    let _worker = bus.worker(4, false, &other).await;
    let neighbour = task("wait");
    bus.publish(&neighbour).await;
    soon(other.begun.happened()).await;
    // The neighbour ends; only then may the second delivery begin.
    tokio::time::timeout(Duration::from_millis(4_500), other.begun.happened())
        .await
        .expect_err("a second delivery began beside another");
    other.let_go.once_more();
    assert_eq!(bus.report().await.run, neighbour.run);
    within(Duration::from_secs(1), other.begun.happened()).await;
    assert!(killed_at.elapsed() < Duration::from_secs(6));
    other.let_go.once_more();
    assert_eq!(bus.report().await.outcome, Outcome::succeeded());
    assert_eq!(other.together_max.load(Ordering::SeqCst), 1);
    drop(taken);
}

#[tokio::test]
async fn a_task_in_hand_outlives_a_restart_of_the_server_and_is_begun_once() {
    let mut bus = Bus::start().await;
    let actions = TestPool::default();
    let _worker = bus.worker(2, false, &actions).await;
    let sent = task("wait");
    bus.publish(&sent).await;
    soon(actions.begun.happened()).await;
    let mut reconnects = bus.connection.reconnects();
    bus.server.kill();
    bus.server.restart();
    soon(reconnects.changed()).await.expect("it comes back");
    // Long enough for the server to deliver the task again.
    let again = tokio::time::timeout(Duration::from_secs(6), actions.begun.happened()).await;
    assert!(again.is_err(), "it was begun twice");
    actions.let_go.once_more();
    assert_eq!(bus.report().await.run, sent.run);
    soon(async { while bus.tasks_left().await > 0 {} }).await;
}

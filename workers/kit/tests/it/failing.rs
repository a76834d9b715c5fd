//! What goes wrong, and with which words.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use maestro_schemas::control::Cancel;
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::report::Report;
use maestro_streams::fetch::tail::{From, Tail};
use maestro_streams::topology::{Sizes, dead_stream, subject};

use crate::bus::{Bus, TestPool, pool, soon, task, task_subject, within};

fn failure(report: &Report) -> (FailureClass, String) {
    match &report.outcome {
        Outcome::Failed { failure, .. } => (failure.class, failure.message.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failure_a_panic_and_an_unknown_action_are_reported_as_what_they_are() {
    let mut bus = Bus::start().await;
    let _worker = bus.worker(1, false, &TestPool::default()).await;
    for (action, words) in [
        ("fail", "exit code 3"),
        ("panic", "panicked: the action's own words"),
        ("transmute", "does not serve action \"transmute\""),
    ] {
        bus.publish(&task(action)).await;
        let (class, message) = failure(&bus.report().await);
        assert_eq!(class, FailureClass::Permanent);
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_handler_that_runs_too_long_is_stopped_even_when_it_is_deaf() {
    let mut bus = Bus::start().await;
    let _worker = bus.worker(2, false, &TestPool::default()).await;
    for action in ["wait", "deaf"] {
        let mut slow = task(action);
        slow.timeout_ms = 300;
        bus.publish(&slow).await;
    }
    for _ in 0..2 {
        let (class, message) = failure(&bus.report().await);
        assert_eq!(class, FailureClass::TimedOut);
        assert!(message.contains("300 ms"), "{message}");
    }
}

#[tokio::test]
async fn a_cancel_stops_what_runs_and_what_comes_too_late() {
    let mut bus = Bus::start().await;
    let actions = TestPool::default();
    let _worker = bus.worker(1, false, &actions).await;
    let running = task("wait");
    bus.publish(&running).await;
    soon(actions.begun.happened()).await;
    let cancel = Cancel { run: running.run, attempt: None };
    bus.tell(subject::control_cancel(&pool()), &cancel).await;
    let report = within(Duration::from_secs(2), bus.next_report()).await;
    assert!(matches!(report.outcome, Outcome::Cancelled { .. }));
    let mut late = running.clone();
    late.token.number = 2;
    bus.publish(&late).await;
    let report = bus.report().await;
    assert_eq!(report.token, late.token);
    assert!(matches!(report.outcome, Outcome::Cancelled { .. }));
    assert_eq!(actions.together.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_is_no_task_becomes_a_dead_letter_and_the_next_one_is_carried_out() {
    let mut bus = Bus::start().await;
    let _worker = bus.worker(1, false, &TestPool::default()).await;
    let garbage = task_subject(&task("succeed"));
    bus.publish_bytes(garbage, Bytes::from_static(b"\xc1 garbage")).await;
    let mut foreign = task("succeed");
    let subject = task_subject(&foreign);
    foreign.pool = "other".parse().expect("a name");
    let bytes = maestro_schemas::codec::encode(&foreign).expect("it encodes");
    bus.publish_bytes(subject, bytes.into()).await;
    bus.publish(&task("succeed")).await;
    assert_eq!(bus.report().await.outcome, Outcome::succeeded());
    let filter = subject::dead_task(&pool());
    let (mut tail, _) = Tail::open(&bus.connection, &dead_stream(), &filter, From::Beginning)
        .await
        .expect("a tail");
    let letter = soon(tail.next()).await.expect("a letter");
    assert_eq!(&letter.payload[..], b"\xc1 garbage");
    soon(tail.next()).await.expect("the foreign one");
    soon(async { while bus.tasks_left().await > 0 {} }).await;
}

#[tokio::test]
async fn a_full_inbox_keeps_the_report_until_there_is_room() {
    let sizes = Sizes { inbox_bytes: 64 * 1024, ..Sizes::default() };
    let mut bus = Bus::with(sizes).await;
    let stream = maestro_streams::topology::inbox_stream(1);
    let filler = subject::inbox_command(1, maestro_schemas::id::RunId::generate());
    for bytes in [1_000, 0] {
        let filling = || bus.publisher.publish(filler.clone(), Bytes::from(vec![0; bytes]));
        while filling().await.is_there() {}
    }
    let actions = TestPool::default();
    let _worker = bus.worker(1, false, &actions).await;
    bus.publish(&task("succeed")).await;
    bus.publish(&task("succeed")).await;
    soon(actions.begun.happened()).await;
    // Longer than `ack_wait`: its delivery is renewed, and its slot is kept.
    let next = tokio::time::timeout(Duration::from_secs(6), actions.begun.happened()).await;
    assert!(next.is_err(), "the slot was given away");
    maestro_streams::admin::purge(&bus.connection, &stream, &filler).await.expect("purged");
    let reports = [bus.report().await, bus.report().await];
    assert_ne!(reports[0].run, reports[1].run);
}

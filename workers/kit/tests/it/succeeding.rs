//! What goes well.

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::artifact::LOG_ROLE;
use maestro_schemas::codec;
use maestro_schemas::control::LogChunk;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::step::StepAddress;
use maestro_streams::fetch::tail::{From, Tail};
use maestro_streams::topology::{log_stream, subject};

use crate::bus::{Bus, TestPool, soon, task};

#[tokio::test]
async fn a_task_is_carried_out_reported_and_only_then_gone() {
    let mut bus = Bus::start().await;
    let worker = bus.worker(2, false, &TestPool::default()).await;
    let sent = task("succeed");
    bus.publish(&sent).await;
    let report = bus.report().await;
    assert_eq!((report.run, report.token), (sent.run, sent.token));
    assert_eq!(report.worker, worker.id());
    assert_eq!(report.outcome, Outcome::succeeded());
    soon(async { while bus.tasks_left().await > 0 {} }).await;
}

#[tokio::test]
async fn thousands_of_short_tasks_of_several_runs_are_each_reported_once() {
    let mut bus = Bus::start().await;
    let _worker = bus.worker(512, true, &TestPool::default()).await;
    let mut expected = BTreeSet::new();
    let mut messages = Vec::new();
    for run in 0..4 {
        let first = task("succeed");
        for item in 0..500 {
            let mut one = first.clone();
            one.step = StepAddress::item(run, item);
            expected.insert((one.run, one.step));
            let bytes = codec::encode(&one).expect("it encodes");
            messages.push(((), crate::bus::task_subject(&one), bytes.into()));
        }
    }
    bus.publisher.publish_all(messages).await;
    let mut reported = BTreeSet::new();
    for _ in 0..expected.len() {
        let report = bus.report().await;
        assert!(reported.insert((report.run, report.step)), "reported twice");
    }
    assert_eq!(reported, expected);
    soon(async { while bus.tasks_left().await > 0 {} }).await;
}

#[tokio::test]
async fn output_is_streamed_in_order_and_kept_whole() {
    let mut bus = Bus::start().await;
    let _worker = bus.worker(1, false, &TestPool::default()).await;
    let sent = task("talk");
    bus.publish(&sent).await;
    let expected: String = (0..1_000).map(|line| format!("line {line}\n")).collect();
    let report = bus.report().await;
    let kept = report.outcome.artifacts();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].role, LOG_ROLE);
    assert_eq!(kept[0].digest, Digest::of(expected.as_bytes()));
    let filter = subject::logs(sent.run, Some(sent.step));
    let (mut tail, _) =
        Tail::open(&bus.connection, &log_stream(), &filter, From::Beginning).await.expect("a tail");
    let mut streamed = Vec::new();
    loop {
        let piece = soon(tail.next()).await.expect("a piece");
        let chunk: LogChunk = codec::decode(&piece.payload).expect("it decodes");
        assert_eq!(chunk.offset, streamed.len() as u64);
        streamed.extend(chunk.bytes);
        if chunk.last {
            break;
        }
    }
    assert_eq!(streamed, expected.as_bytes());
}

#[tokio::test]
async fn a_scratch_directory_is_gone_when_its_execution_is_reported() {
    let mut bus = Bus::start().await;
    let worker = bus.worker(1, false, &TestPool::default()).await;
    bus.publish(&task("scratch")).await;
    assert_eq!(bus.report().await.outcome, Outcome::succeeded());
    let left = std::fs::read_dir(bus.scratch().join(worker.id().to_string()));
    assert_eq!(left.expect("the worker's directory").count(), 0);
}

#[tokio::test]
async fn what_goes_on_beside_a_handler_has_ended_before_its_outcome_is_reported() {
    let mut bus = Bus::start().await;
    let pool = TestPool::default();
    let _worker = bus.worker(1, false, &pool).await;
    bus.publish(&task("beside")).await;
    soon(pool.begun.happened()).await;
    let early = tokio::time::timeout(Duration::from_millis(500), bus.next_report()).await;
    assert!(early.is_err(), "it was reported before");
    assert!(bus.tasks_left().await > 0);
    pool.let_go.once_more();
    assert_eq!(bus.report().await.outcome, Outcome::succeeded());
}

#[tokio::test]
async fn heartbeats_tell_the_catalogue_and_what_is_in_hand() {
    let mut bus = Bus::start().await;
    let pool = TestPool::default();
    let _worker = bus.worker(3, false, &pool).await;
    let first = bus.heartbeat(|heartbeat| heartbeat.actions.is_some()).await;
    assert_eq!((first.slots, first.running.len()), (3, 0));
    let sent = task("wait");
    bus.publish(&sent).await;
    let busy = bus.heartbeat(|heartbeat| !heartbeat.running.is_empty()).await;
    assert_eq!((busy.running[0].run, busy.running[0].token), (sent.run, sent.token));
    pool.let_go.once_more();
    let execution = bus.report().await.execution;
    assert_eq!(execution, busy.running[0].execution);
    bus.heartbeat(|heartbeat| heartbeat.running.is_empty()).await;
}

#[tokio::test]
async fn a_step_that_wants_more_slots_than_are_free_waits_for_them() {
    let mut bus = Bus::start().await;
    let pool = TestPool::default();
    let _worker = bus.worker(2, false, &pool).await;
    bus.publish(&task("wait")).await;
    soon(pool.begun.happened()).await;
    let mut large = task("succeed");
    large.resources.slots = 2.try_into().expect("not zero");
    bus.publish(&large).await;
    // Longer than `ack_wait`: the one that waits is renewed and not given to anybody else.
    let early = tokio::time::timeout(Duration::from_secs(6), bus.next_report()).await;
    assert!(early.is_err(), "it began beside another");
    pool.let_go.once_more();
    let runs = [bus.report().await.run, bus.report().await.run];
    assert_eq!(runs[1], large.run);
    assert_eq!(pool.together_max.load(std::sync::atomic::Ordering::SeqCst), 1);
}

//! What a publish comes back with.

use bytes::Bytes;
use maestro_schemas::id::RunId;
use maestro_streams::admin;
use maestro_streams::dead::{self, DeadLetter};
use maestro_streams::ensure;
use maestro_streams::fetch::tail::{From, Tail};
use maestro_streams::publish::{PublishResult, Publisher, UNACKED_MAX};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{Sizes, Topology, dead_stream, subject};

use crate::server::Server;
use crate::support::{pool, soon, task, task_of, text, topology};

#[tokio::test]
async fn a_task_published_again_is_already_there_until_it_is_purged() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let (pool, run) = (pool("build"), RunId::generate());
    ensure::ensure(&connection, &[topology().pool(&pool)]).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let subject = task_of(&pool, run, 0);
    for expected in [PublishResult::Accepted, PublishResult::AlreadyThere] {
        assert_eq!(publisher.publish(subject.clone(), text("t")).await, expected);
    }
    let purged = admin::purge_run(&connection, &pool, run).await.expect("purged");
    assert_eq!(purged, 1);
    assert_eq!(publisher.publish(subject, text("t")).await, PublishResult::Accepted);
}

#[tokio::test]
async fn a_full_stream_says_so_and_takes_more_when_it_is_emptied() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let small =
        Topology { sizes: Sizes { inbox_bytes: 64 * 1024, ..Sizes::default() }, ..topology() };
    ensure::ensure(&connection, &[small.inbox(0)]).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let subject = subject::inbox_command(0, RunId::generate());
    let mut accepted = 0;
    let full = loop {
        let result = publisher.publish(subject.clone(), Bytes::from(vec![0; 10_000])).await;
        match result {
            PublishResult::Accepted => accepted += 1,
            other => break other,
        }
    };
    assert_eq!(full, PublishResult::Full);
    assert!((5..=7).contains(&accepted), "{accepted}");
    admin::purge(&connection, &maestro_streams::topology::inbox_stream(0), &subject)
        .await
        .expect("purged");
    assert_eq!(publisher.publish(subject, text("x")).await, PublishResult::Accepted);
}

#[tokio::test]
async fn what_no_stream_takes_is_told_at_once_and_what_is_too_large_is_refused() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    assert_eq!(
        publisher.publish(task(&pool("nobody"), 0), text("t")).await,
        PublishResult::NoStream
    );
    let large = Bytes::from(vec![0; 3 << 20]);
    let refused = publisher.publish(task(&pool("nobody"), 0), large).await;
    assert!(matches!(refused, PublishResult::Refused(_)), "{refused:?}");
}

#[tokio::test]
async fn a_fan_out_above_the_limit_drains() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let pool = pool("build");
    ensure::ensure(&connection, &[topology().pool(&pool)]).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let size = u32::try_from(UNACKED_MAX * 3 / 2).expect("small");
    let batch = || (0..size).map(|item| (item, task(&pool, item), text("t")));
    // Three batches at once, each larger than the limit, gathered before any is awaited.
    let batches = [batch(), batch(), batch()].map(|batch| publisher.publish_all(batch.collect()));
    let singles: Vec<_> =
        batch().map(|(_, subject, bytes)| publisher.publish(subject, bytes)).collect();
    let (results, singles) = soon(futures::future::join(
        futures::future::join_all(batches),
        futures::future::join_all(singles),
    ))
    .await;
    let keys: Vec<u32> = results[0].iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, (0..size).collect::<Vec<_>>());
    let all = results.iter().flatten().map(|(_, result)| result);
    assert!(all.chain(&singles).all(|r| *r == PublishResult::Accepted));
}

#[tokio::test]
async fn a_submission_with_the_same_id_is_taken_once() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    ensure::ensure(&connection, &[topology().submit()]).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let subject = subject::submit(&"demo".parse().expect("a name"));
    for expected in [PublishResult::Accepted, PublishResult::AlreadyThere] {
        let result = publisher.publish_with_id(subject.clone(), text("{}"), "key-1").await;
        assert_eq!(result, expected);
    }
}

#[tokio::test]
async fn a_lost_connection_answers_what_was_on_its_way() {
    let mut server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    server.kill();
    let result = soon(publisher.publish(task(&pool("build"), 0), text("t"))).await;
    assert!(matches!(result, PublishResult::Disconnected | PublishResult::TimedOut), "{result:?}");
}

#[tokio::test]
async fn a_dead_letter_keeps_its_bytes_whatever_its_reason_holds() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    ensure::ensure(&connection, &[topology().dead()]).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let letter = DeadLetter {
        subject: subject::dead_inbox(1),
        origin: subject::inbox_command(1, RunId::generate()),
        payload: Bytes::from_static(b"\xff\x00garbage"),
        reason: format!("line one\r\nline two {}", "é".repeat(4_000)),
    };
    assert_eq!(dead::letter(&publisher, letter).await, PublishResult::Accepted);
    let filter = subject::dead_inbox(1);
    let (mut tail, waiting) =
        Tail::open(&connection, &dead_stream(), &filter, From::Beginning).await.expect("a tail");
    assert_eq!(waiting, 1);
    let seen = soon(tail.next()).await.expect("the letter");
    assert_eq!(&seen.payload[..], b"\xff\x00garbage");
}

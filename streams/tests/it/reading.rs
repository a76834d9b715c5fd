//! Tasks as workers read them, and what a killed server leaves of everything.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use maestro_schemas::id::RunId;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_streams::admin;
use maestro_streams::connect::Connection;
use maestro_streams::ensure;
use maestro_streams::fetch::inbox::{self, InboxReader};
use maestro_streams::fetch::tasks::{Reading, TaskQueue};
use maestro_streams::publish::Publisher;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{subject, task_stream};

use crate::server::Server;
use crate::support::{pool, read_payloads, soon, task, text, topology, within};

const BOTH: [Reading; 2] = [Reading::Exact, Reading::Prefetch { batch: 64 }];

async fn publish(publisher: &Publisher, tasks: u32) {
    let pool = pool("build");
    let messages = (0..tasks).map(|item| (item, task(&pool, item), text(item)));
    let results = publisher.publish_all(messages.collect()).await;
    assert!(results.iter().all(|(_, result)| result.is_there()));
}

async fn prepared(server: &Server) -> (Connection, Publisher) {
    let connection = server.connect(&Role::Coordinator).await;
    let mut wanted = topology().streams();
    wanted.push(topology().pool(&pool("build")));
    ensure::ensure(&connection, &wanted).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    (connection, publisher)
}

#[tokio::test]
async fn a_worker_without_free_slots_leaves_tasks_for_others() {
    let server = Server::start();
    let (connection, publisher) = prepared(&server).await;
    publish(&publisher, 10).await;
    let mut queue =
        TaskQueue::open(&connection, &pool("build"), Reading::Exact).await.expect("a queue");
    assert_eq!(soon(queue.next(3)).await.expect("tasks").len(), 3);
    let stream = task_stream(&pool("build"));
    let state = admin::consumer_state(&connection, &stream, "p2")
        .await
        .expect("an answer")
        .expect("a consumer");
    assert_eq!((state.ack_pending, state.pending), (3, 7));
}

#[tokio::test]
async fn an_idle_worker_gets_each_task_once_and_at_once() {
    for reading in BOTH {
        let server = Server::start();
        let (connection, publisher) = prepared(&server).await;
        let mut queue =
            TaskQueue::open(&connection, &pool("build"), reading).await.expect("a queue");
        for round in 0..20 {
            let waits = tokio::spawn(async move {
                let tasks = queue.next(1).await.expect("a task");
                (queue, tasks)
            });
            publish(&publisher, 1).await;
            let (back, tasks) = within(Duration::from_secs(2), waits).await.expect("no panic");
            queue = back;
            assert_eq!(tasks.len(), 1, "{reading:?} in round {round}");
            assert_eq!(tasks[0].delivered, 1, "{reading:?} in round {round}");
            tasks[0].ack().await;
        }
    }
}

#[tokio::test]
async fn what_is_more_urgent_goes_first_and_the_last_does_not_starve() {
    // What is held in advance goes out in the order of its arrival, which is the network's.
    for reading in [Reading::Exact] {
        let server = Server::start();
        let (connection, publisher) = prepared(&server).await;
        let token = AttemptToken { number: 1, epoch: 1 };
        let tasks = [Priority::Low, Priority::Critical].map(|priority| {
            (0..60).map(move |item| {
                let (run, step) = (RunId::generate(), StepAddress::item(0, item));
                let subject = subject::task(&pool("build"), priority, run, step, token);
                ((), subject, text(format!("{priority:?}")))
            })
        });
        publisher.publish_all(tasks.into_iter().flatten().collect()).await;
        let mut queue =
            TaskQueue::open(&connection, &pool("build"), reading).await.expect("a queue");
        let mut order = Vec::new();
        while order.len() < 45 {
            for task in soon(queue.next(1)).await.expect("a task") {
                order.push(task.payload.clone());
                task.ack().await;
            }
        }
        let low = order.iter().filter(|payload| *payload == "Low").count();
        assert!((1..=20).contains(&low), "{reading:?}: {low} of 45");
    }
}

#[tokio::test]
async fn a_closed_queue_gives_back_what_it_held_at_once() {
    for reading in BOTH {
        let server = Server::start();
        let (connection, publisher) = prepared(&server).await;
        publish(&publisher, 30).await;
        let mut first =
            TaskQueue::open(&connection, &pool("build"), reading).await.expect("a queue");
        let begun = soon(first.next(1)).await.expect("a task");
        assert_eq!(begun.len(), 1);
        begun[0].ack().await;
        first.close().await;
        let mut second =
            TaskQueue::open(&connection, &pool("build"), reading).await.expect("a queue");
        let mut seen = HashSet::new();
        while seen.len() < 29 {
            let tasks = within(Duration::from_secs(2), second.next(29)).await;
            seen.extend(tasks.expect("tasks").into_iter().map(|task| task.payload));
        }
        assert!(!seen.contains(&begun[0].payload));
    }
}

#[tokio::test]
async fn a_task_that_is_not_renewed_goes_to_another_worker_within_five_seconds() {
    let server = Server::start();
    let (connection, publisher) = prepared(&server).await;
    publish(&publisher, 1).await;
    let other = server.connect(&Role::Worker(pool("build"))).await;
    let mut first =
        TaskQueue::open(&connection, &pool("build"), Reading::Exact).await.expect("a queue");
    let taken = soon(first.next(1)).await.expect("a task");
    let mut second =
        TaskQueue::open(&other, &pool("build"), Reading::Exact).await.expect("a queue");
    let again = within(Duration::from_secs(5), second.next(1)).await.expect("a task");
    assert_eq!(again[0].payload, taken[0].payload);
    assert_eq!(again[0].delivered, 2);
    assert!(again[0].in_progress(Duration::from_secs(2)).await);
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed_in_mid_stream() {
    for reading in BOTH {
        let mut server = Server::start();
        let (connection, publisher) = prepared(&server).await;
        publish(&publisher, 400).await;
        let taken = inbox::take(&connection, &topology(), 0, 1).await.expect("taken");
        let mut reader = InboxReader::open(&connection, &topology()).await.expect("a reader");
        reader.add(&taken);
        let worker =
            tokio::spawn(work(server.connect(&Role::Worker(pool("build"))).await, reading));
        let mut seen = HashSet::new();
        read_and_ack(&mut reader, &mut seen, 100).await;
        server.kill();
        server.restart();
        read_and_ack(&mut reader, &mut seen, 400).await;
        worker.abort();
    }
}

/// Reads until `wanted` different reports were seen.
async fn read_and_ack(reader: &mut InboxReader, seen: &mut HashSet<Bytes>, wanted: usize) {
    let acks = reader.acks();
    while seen.len() < wanted {
        for delivery in read_payloads(reader, 1).await {
            acks.ack(&[delivery.id]).await;
            seen.insert(delivery.payload);
        }
    }
}

/// Reports every task that it is given, whatever becomes of the connection.
async fn work(connection: Connection, reading: Reading) {
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let mut queue = TaskQueue::open(&connection, &pool("build"), reading).await.expect("a queue");
    loop {
        for task in queue.next(8).await.expect("tasks") {
            let subject = subject::inbox_report(0, &pool("build"), None);
            while !publisher.publish(subject.clone(), task.payload.clone()).await.is_there() {
                tokio::task::yield_now().await;
            }
            task.ack().await;
        }
    }
}

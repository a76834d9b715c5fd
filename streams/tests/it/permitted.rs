//! What the broker denies a worker.

use std::time::Duration;

use maestro_schemas::id::RunId;
use maestro_streams::admin;
use maestro_streams::connect::{Connection, Error};
use maestro_streams::ensure;
use maestro_streams::fetch::tasks::{Reading, TaskQueue};
use maestro_streams::publish::{PublishResult, Publisher};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{subject, task_stream};

use crate::server::Server;
use crate::support::{pool, soon, task, text, topology, within};

async fn prepared() -> (Server, Connection, Connection) {
    let roles = [Role::Coordinator, Role::Worker(pool("llm")), Role::Worker(pool("scrape"))];
    let server = Server::with_roles(&roles);
    let coordinator = server.connect(&Role::Coordinator).await;
    let mut wanted = topology().streams();
    wanted.extend(["llm", "scrape"].map(|name| topology().pool(&pool(name))));
    ensure::ensure(&coordinator, &wanted).await.expect("made");
    let publisher = Publisher::open(&coordinator).await.expect("a publisher");
    assert!(publisher.publish(task(&pool("llm"), 0), text("secret")).await.is_there());
    let scraper = server.connect(&Role::Worker(pool("scrape"))).await;
    (server, coordinator, scraper)
}

#[tokio::test]
async fn a_worker_does_its_own_pools_work() {
    let (server, _coordinator, _scraper) = prepared().await;
    let worker = server.connect(&Role::Worker(pool("llm"))).await;
    for reading in [Reading::Prefetch { batch: 4 }, Reading::Exact] {
        let mut queue = TaskQueue::open(&worker, &pool("llm"), reading).await.expect("a queue");
        let tasks = soon(queue.next(1)).await.expect("a task");
        assert!(tasks[0].in_progress(Duration::from_secs(2)).await);
        tasks[0].nak().await;
        queue.close().await;
    }
    let publisher = Publisher::open(&worker).await.expect("a publisher");
    let report = subject::inbox_report(1, &pool("llm"), Some(RunId::generate()));
    assert_eq!(publisher.publish(report, text("r")).await, PublishResult::Accepted);
    assert_eq!(worker.counters().server_errors, 0);
}

#[tokio::test]
async fn a_worker_can_neither_read_nor_report_for_another_pool_nor_command() {
    let (_server, _coordinator, scraper) = prepared().await;
    let mut foreign =
        TaskQueue::open(&scraper, &pool("llm"), Reading::Exact).await.expect("a queue");
    let stolen = tokio::time::timeout(Duration::from_secs(3), foreign.next(1)).await;
    assert!(stolen.is_err(), "a foreign task was read");
    let publisher = Publisher::open(&scraper).await.expect("a publisher");
    let run = RunId::generate();
    let denied = [
        subject::inbox_report(0, &pool("llm"), Some(run)),
        subject::inbox_claim(0, &pool("llm"), run),
        subject::inbox_command(0, run),
        task(&pool("scrape"), 0),
        subject::dead_task(&pool("llm")),
        subject::secrets(&pool("llm")),
    ];
    let publishes = denied.map(|subject| publisher.publish(subject, text("x")));
    let results = within(Duration::from_secs(10), futures::future::join_all(publishes)).await;
    assert!(results.iter().all(|r| *r == PublishResult::TimedOut), "{results:?}");
    let looked = admin::stream_state(&scraper, &task_stream(&pool("llm"))).await;
    assert!(looked.is_err());
    assert!(scraper.counters().server_errors >= 6);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again() {
    let (server, ..) = prepared().await;
    let options = server.options(&Role::Coordinator).credentials("coordinator", "wrong");
    let refused = within(Duration::from_secs(3), Connection::open(options)).await;
    match refused {
        Err(Error::Refused { user, .. }) => assert_eq!(user, "coordinator"),
        other => panic!("{other:?}"),
    }
}

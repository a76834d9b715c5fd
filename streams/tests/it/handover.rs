//! An inbox changes hands.

use std::time::Duration;

use maestro_schemas::id::RunId;
use maestro_streams::ensure;
use maestro_streams::fetch::inbox::{self, Error, InboxRead, InboxReader};
use maestro_streams::publish::Publisher;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;

use crate::server::Server;
use crate::support::{read_payloads, soon, text, topology, within};

async fn filled(server: &Server, messages: usize) -> maestro_streams::connect::Connection {
    let connection = server.connect(&Role::Coordinator).await;
    ensure::ensure(&connection, &topology().streams()).await.expect("made");
    let publisher = Publisher::open(&connection).await.expect("a publisher");
    let messages = (0..messages).map(|number| {
        let subject = subject::inbox_command(0, RunId::generate());
        (number, subject, text(number))
    });
    let results = publisher.publish_all(messages.collect()).await;
    assert!(results.iter().all(|(_, result)| result.is_there()));
    connection
}

async fn reader(server: &Server, epoch: u64) -> InboxReader {
    let connection = server.connect(&Role::Coordinator).await;
    let taken = inbox::take(&connection, &topology(), 0, epoch).await.expect("taken");
    let mut reader = InboxReader::open(&connection, &topology()).await.expect("a reader");
    reader.add(&taken);
    reader
}

#[tokio::test]
async fn a_new_epoch_gets_at_once_what_the_former_one_did_not_ack() {
    let server = Server::start();
    let _connection = filled(&server, 300).await;
    let mut former = reader(&server, 1).await;
    let held = read_payloads(&mut former, 300).await;
    let acked: Vec<u64> = held.iter().take(100).map(|delivery| delivery.id).collect();
    former.acks().ack(&acked).await;
    let mut next = reader(&server, 2).await;
    let rest = within(Duration::from_secs(2), read_payloads(&mut next, 200)).await;
    assert_eq!(rest[0].payload, text(100), "in the stream's order");
    loop {
        match soon(former.next()).await.expect("open") {
            InboxRead::Lost { error: Error::Superseded { by, .. }, .. } => break assert_eq!(by, 2),
            InboxRead::Batch(batch) => panic!("the former owner still gets {}", batch.len()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_owner_that_is_late_is_told_who_superseded_it() {
    let server = Server::start();
    let connection = filled(&server, 0).await;
    let _next = reader(&server, 7).await;
    let late = inbox::take(&connection, &topology(), 0, 6).await;
    assert!(matches!(late, Err(Error::Superseded { by: 7, .. })), "{late:?}");
}

#[tokio::test]
async fn the_end_of_what_waited_is_told_after_the_last_of_it_and_once() {
    let server = Server::start();
    let _connection = filled(&server, 700).await;
    let mut reader = reader(&server, 1).await;
    let mut came = 0;
    loop {
        match soon(reader.next()).await.expect("open") {
            InboxRead::Batch(batch) => {
                assert!(batch.len() <= inbox::BATCH_MAX);
                came += batch.len();
            }
            InboxRead::CaughtUp { shard } => break assert_eq!((shard, came), (0, 700)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_inbox_that_was_lost_is_made_anew_and_told() {
    let mut server = Server::start();
    let _connection = filled(&server, 10).await;
    let mut reader = reader(&server, 1).await;
    read_payloads(&mut reader, 10).await;
    server.kill();
    server.lose_everything();
    server.restart();
    loop {
        match soon(reader.next()).await.expect("open") {
            InboxRead::Rebuilt { shard } => break assert_eq!(shard, 0),
            InboxRead::Lost { error, .. } => panic!("{error:?}"),
            _ => {}
        }
    }
    let publisher =
        Publisher::open(&server.connect(&Role::Coordinator).await).await.expect("a publisher");
    let subject = subject::inbox_command(0, RunId::generate());
    assert!(publisher.publish(subject, text("new")).await.is_there());
    let read = within(Duration::from_secs(5), read_payloads(&mut reader, 1)).await;
    assert_eq!(read[0].payload, text("new"));
}

//! Streams are made once, and a difference is refused by name.

use maestro_streams::ensure::{self, Error};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{Sizes, Topology};

use crate::server::Server;
use crate::support::{pool, topology};

#[tokio::test]
async fn making_everything_twice_changes_nothing() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    ensure::check_server(&connection).await.expect("the server is good");
    let mut wanted = topology().streams();
    wanted.push(topology().pool(&pool("build-strict")));
    let first = ensure::ensure(&connection, &wanted).await.expect("they are made");
    let second = ensure::ensure(&connection, &wanted).await.expect("they stand");
    assert_eq!(first, second);
    assert_eq!(first.len(), 8);
}

#[tokio::test]
async fn a_stream_that_differs_is_refused_by_name_and_left_alone() {
    let server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    ensure::ensure(&connection, &topology().streams()).await.expect("they are made");
    let larger =
        Topology { sizes: Sizes { event_bytes: 1 << 30, ..Sizes::default() }, ..topology() };
    let refused = ensure::ensure(&connection, &larger.streams()).await;
    match refused {
        Err(Error::Differs { name, field, .. }) => {
            assert_eq!((name.as_str(), field.as_str()), ("MAESTRO_EVENT", "max_bytes"));
        }
        other => panic!("{other:?}"),
    }
    ensure::ensure(&connection, &topology().streams()).await.expect("nothing was changed");
}

#[tokio::test]
async fn streams_that_do_not_fit_the_server_are_refused_by_name() {
    let server = Server::with("max_file_store: 100MB", "");
    let connection = server.connect(&Role::Coordinator).await;
    let refused = ensure::ensure(&connection, &topology().streams()).await;
    assert!(matches!(refused, Err(Error::NoRoom { .. } | Error::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused_by_name() {
    let server = Server::with("enabled: false", "");
    let connection = server.connect(&Role::Coordinator).await;
    let refused = ensure::check_server(&connection).await;
    assert!(matches!(refused, Err(Error::NoJetStream)), "{refused:?}");
}

#[tokio::test]
async fn a_store_that_was_lost_shows_in_the_marks() {
    let mut server = Server::start();
    let connection = server.connect(&Role::Coordinator).await;
    let wanted = topology().streams();
    let before = ensure::ensure(&connection, &wanted).await.expect("made");
    let mut reconnects = connection.reconnects();
    server.kill();
    server.lose_everything();
    server.restart();
    crate::support::soon(reconnects.changed()).await.expect("it comes back");
    let after = ensure::ensure(&connection, &wanted).await.expect("made anew");
    let lost = after.iter().zip(&before).all(|(new, old)| new.lost_since(old));
    assert!(lost, "every stream is younger");
}

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use super::super::Error;
use super::super::nats::{Nats, Options};
use super::super::nats_config::{Permissions, Rule, User};
use super::bus::Client;
use super::{eventually, runs, tools};

fn user(name: &str, publish: Rule) -> User {
    let permissions = Permissions { publish, ..Permissions::default() };
    User { name: name.into(), password: format!("{name}-secret"), permissions }
}

async fn options(dir: &Path) -> Options {
    let mut options = Options::new(&tools().await.nats_server.path, dir);
    let only = Rule::Only { allow: vec!["yes.>".into()], deny: vec!["yes.but.no".into()] };
    let none = Rule::Only { allow: vec![], deny: vec![] };
    options.users = vec![user("all", Rule::All), user("some", only), user("mute", none)];
    options
}

#[tokio::test]
async fn only_its_users_connect_and_each_may_do_what_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(options(dir.path()).await).await.unwrap();
    assert!(Client::connect(nats.port(), "all", "wrong").await.is_err());
    assert!(Client::connect(nats.port(), "", "").await.is_err());
    let mut some = Client::connect(nats.port(), "some", "some-secret").await.unwrap();
    some.publish("yes.one").await.unwrap();
    assert!(some.publish("no").await.unwrap_err().contains("Permissions Violation"));
    assert!(some.publish("yes.but.no").await.is_err());
    let mut mute = Client::connect(nats.port(), "mute", "mute-secret").await.unwrap();
    assert!(mute.publish("yes.one").await.is_err());
    assert_eq!(
        nats.url_of("some").unwrap(),
        format!("nats://some:some-secret@127.0.0.1:{}", nats.port())
    );
    assert!(nats.url_of("nobody").is_err());
    nats.stop().await.unwrap();
}

#[tokio::test]
async fn killed_and_restarted_it_has_its_port_and_its_streams_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut nats = Nats::start(options(dir.path()).await).await.unwrap();
    let (port, pid) = (nats.port(), nats.pid());
    let mut client = Client::connect(port, "all", "all-secret").await.unwrap();
    let config =
        json!({ "name": "KEPT", "subjects": ["kept"], "storage": "file", "max_bytes": 1 << 20 });
    let made = client.request("$JS.API.STREAM.CREATE.KEPT", &config).await;
    assert!(made.get("error").is_none(), "{made}");
    let stored = client.request("kept", &json!("one")).await;
    assert_eq!(stored["seq"], 1);
    nats.child().signal(Signal::SIGKILL);
    nats.restart().await.unwrap();
    assert_eq!(nats.port(), port);
    assert_ne!(nats.pid(), pid);
    let mut client = Client::connect(port, "all", "all-secret").await.unwrap();
    let found = client.request("$JS.API.STREAM.INFO.KEPT", &json!({})).await;
    assert_eq!(found["state"]["messages"], 1, "{found}");
}

#[tokio::test]
async fn its_configuration_is_private_and_nothing_is_left_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let nats = Nats::start(options(dir.path()).await).await.unwrap();
    let mode = std::fs::metadata(dir.path().join("nats.conf")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let pid = nats.pid();
    drop(nats);
    assert!(!runs(pid));
}

#[tokio::test]
async fn a_leftover_on_the_same_store_is_ended_before_another_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Nats::start(options(dir.path()).await).await.unwrap();
    let second = Nats::start(options(dir.path()).await).await.unwrap();
    let old = first.pid();
    eventually("the leftover ends", || !runs(old)).await;
    assert!(runs(second.pid()));
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options(dir.path()).await;
    options.port = Some(taken.local_addr().unwrap().port());
    let refused = Nats::start(options).await.unwrap_err();
    assert!(matches!(refused, Error::Ended { .. }), "{refused}");
    assert!(refused.to_string().contains("address already in use"), "{refused}");
}

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};

use super::super::Error;
use super::super::nats_config::Permissions;
use super::super::paths::Paths;
use super::super::stack::{Options, Stack};
use super::super::state::State;
use super::super::tools::Search;
use super::bus::Client;
use super::{eventually, path_without_death_signal, role, role_dir, runs};

fn options() -> Options {
    let mut options = Options::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    options.users = vec![("worker".into(), Permissions::default())];
    options.secrets = vec!["token".into()];
    options
}

async fn start(project: &Path) -> Result<Stack, Error> {
    Stack::start(Paths::of_project(project).unwrap(), options()).await
}

fn password(stack: &Stack) -> String {
    let url = stack.nats.url_of("worker").unwrap();
    url.split(['@', ':']).nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn both_servers_answer_and_what_is_secret_stays_private_and_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let stack = start(dir.path()).await.unwrap();
    Client::connect(stack.nats.port(), "worker", &password(&stack)).await.unwrap();
    PgConnection::connect(&stack.postgres.url()).await.unwrap().close().await.unwrap();
    let (token, worker) = (stack.secret("token").unwrap().to_owned(), password(&stack));
    for path in [stack.paths().credentials(), stack.paths().state(), stack.paths().lock()] {
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
    }
    let state = fs::read_to_string(stack.paths().state()).unwrap();
    assert!(state.contains(&stack.nats.port().to_string()) && !state.contains(&worker));
    stack.stop().await.unwrap();
    assert_eq!(State::read(&Paths::of_project(dir.path()).unwrap()).unwrap(), None);
    let again = start(dir.path()).await.unwrap();
    assert_eq!(again.secret("token"), Some(token.as_str()));
    assert_eq!(password(&again), worker);
}

#[tokio::test]
async fn a_second_stack_in_the_directory_is_refused_and_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let stack = start(dir.path()).await.unwrap();
    assert!(matches!(start(dir.path()).await.unwrap_err(), Error::Held { .. }));
    assert!(runs(stack.nats.pid()) && runs(stack.postgres.pid()));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_stack_that_cannot_start_leaves_nothing_running_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let mut without = options();
    without.search = Search::default();
    let refused = Stack::start(paths.clone(), without).await.unwrap_err();
    assert!(matches!(refused, Error::ToolMissing { .. }), "{refused}");
    fs::create_dir_all(paths.postgres().join("data")).unwrap();
    fs::write(paths.postgres().join("data/PG_VERSION"), "9.6").unwrap();
    let refused = Stack::start(paths.clone(), options()).await.unwrap_err();
    assert!(matches!(refused, Error::DataVersion { .. }), "{refused}");
    fs::remove_dir_all(paths.postgres()).unwrap();
    Stack::start(paths, options()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn lost_credentials_are_replaced_and_the_data_stays() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
    fs::remove_file(dir.path().join(".maestro/credentials.json")).unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
}

/// Not a test by itself: the owner in the test below.
#[tokio::test]
async fn owner() {
    if let Some(dir) = role_dir() {
        let _stack = start(&dir).await.unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
}

#[tokio::test]
async fn the_servers_die_with_a_killed_owner_and_the_next_one_starts() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let mut owner = role("stack::owner", dir.path()).spawn().unwrap();
    eventually("the owner is up", || State::read(&paths).unwrap().is_some()).await;
    let state = State::read(&paths).unwrap().unwrap();
    assert!(runs(state.nats_pid) && runs(state.postgres_pid));
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("its servers die", || !runs(state.nats_pid) && !runs(state.postgres_pid)).await;
    start(dir.path()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn the_next_owner_starts_at_once_while_the_killed_one_s_servers_still_end() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let mut owner = role("stack::owner", dir.path()).spawn().unwrap();
    eventually("the owner is up", || State::read(&paths).unwrap().is_some()).await;
    owner.kill().unwrap();
    let stack = start(dir.path()).await.unwrap();
    owner.wait().unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn servers_that_outlived_a_killed_owner_are_ended_by_the_next_one() {
    let (dir, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = Paths::of_project(dir.path()).unwrap();
    let mut owner = role("stack::owner", dir.path())
        .env("PATH", path_without_death_signal(bin.path()))
        .spawn()
        .unwrap();
    eventually("the owner is up", || State::read(&paths).unwrap().is_some()).await;
    let state = State::read(&paths).unwrap().unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(runs(state.nats_pid) && runs(state.postgres_pid));
    let stack = start(dir.path()).await.unwrap();
    assert!(!runs(state.nats_pid) && !runs(state.postgres_pid));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn an_owner_that_is_killed_while_it_makes_the_data_is_no_harm_to_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut owner = role("stack::owner", dir.path()).spawn().unwrap();
    let half_made = dir.path().join(".maestro/postgres/data.new/base");
    eventually("the data is being made", || half_made.exists()).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    start(dir.path()).await.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn stopped_servers_that_answer_nobody_are_ended_by_the_next_owner() {
    let (dir, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths = Paths::of_project(dir.path()).unwrap();
    let path = path_without_death_signal(bin.path());
    let mut owner = role("stack::owner", dir.path()).env("PATH", path).spawn().unwrap();
    eventually("the owner is up", || State::read(&paths).unwrap().is_some()).await;
    let state = State::read(&paths).unwrap().unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    // Only now: the kernel wakes the stopped children of one that dies.
    for pid in [state.nats_pid, state.postgres_pid] {
        kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).unwrap();
    }
    let stack = start(dir.path()).await.unwrap();
    assert!(!runs(state.nats_pid) && !runs(state.postgres_pid));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_works_by_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a".repeat(100)).join("with spaces, and \"quotes\"");
    let stack = start(&deep).await.unwrap();
    assert_eq!(stack.postgres.socket_dir(), None);
    PgConnection::connect(&stack.postgres.url()).await.unwrap().close().await.unwrap();
    stack.stop().await.unwrap();
}

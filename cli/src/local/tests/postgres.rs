use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::super::Error;
use super::super::leftover::{self, Mark};
use super::super::postgres::{Options, Postgres};
use super::super::run_as::RunAs;
use super::{eventually, runs, tools};

async fn options(dir: &Path) -> Options {
    Options::new(tools().await.postgres, dir, "geheim")
}

async fn connect(postgres: &Postgres) -> PgConnection {
    postgres.connect_options("maestro").connect().await.unwrap()
}

async fn ask(postgres: &Postgres, question: &'static str) -> String {
    sqlx::query_scalar(question).fetch_one(&mut connect(postgres).await).await.unwrap()
}

async fn keep_a_row(postgres: &Postgres) {
    let statements = "create table kept as select 'still here' as x";
    sqlx::raw_sql(statements).execute(&mut connect(postgres).await).await.unwrap();
}

async fn assert_kept(postgres: &Postgres) {
    assert_eq!(ask(postgres, "select x from kept").await, "still here");
}

fn system_user() -> (u32, u32) {
    let user = User::from_name("nobody").unwrap().unwrap();
    (user.uid.as_raw(), user.gid.as_raw())
}

#[tokio::test]
async fn it_syncs_asks_for_a_password_and_listens_on_loopback_only() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(options(dir.path()).await).await.unwrap();
    assert_eq!(ask(&postgres, "show fsync").await, "on");
    assert_eq!(ask(&postgres, "show jit").await, "off");
    assert_eq!(ask(&postgres, "show listen_addresses").await, "127.0.0.1");
    assert_eq!(ask(&postgres, "select current_database()::text").await, "maestro");
    for wrong in [postgres.url().replace("geheim", "falsch"), postgres.url().replace(":geheim", "")]
    {
        assert!(PgConnection::connect(&wrong).await.is_err());
    }
    let by_loopback = PgConnection::connect(&postgres.url()).await.unwrap();
    by_loopback.close().await.unwrap();
    let mode = fs::metadata(dir.path().join("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!dir.path().join("password").exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn killed_and_restarted_it_has_its_port_and_its_rows_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start(options(dir.path()).await).await.unwrap();
    let port = postgres.port();
    keep_a_row(&postgres).await;
    postgres.child().signal(Signal::SIGKILL);
    postgres.restart().await.unwrap();
    assert_eq!(postgres.port(), port);
    assert_kept(&postgres).await;
}

#[tokio::test]
async fn stopped_and_started_it_has_its_rows_again_and_nothing_is_left_in_between() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(options(dir.path()).await).await.unwrap();
    keep_a_row(&postgres).await;
    let path = dir.path().canonicalize().unwrap().join("data");
    postgres.stop().await.unwrap();
    assert!(!leftover::any(&Mark { name: "postgres", path }));
    assert_kept(&Postgres::start(options(dir.path()).await).await.unwrap()).await;
}

#[tokio::test]
async fn a_pid_file_whose_number_is_a_strangers_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    Postgres::start(options(dir.path()).await).await.unwrap().stop().await.unwrap();
    let mut stranger = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let data = dir.path().join("data");
    let text = format!(
        "{}\n{}\n1700000000\n5432\n\n127.0.0.1\n\nready   \n",
        stranger.id(),
        data.display()
    );
    fs::write(data.join("postmaster.pid"), text).unwrap();
    let postgres = Postgres::start(options(dir.path()).await).await.unwrap();
    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_leftover_on_the_same_data_is_ended_before_another_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = Postgres::start(options(dir.path()).await).await.unwrap();
    keep_a_row(&first).await;
    let second = Postgres::start(options(dir.path()).await).await.unwrap();
    let old = first.pid();
    eventually("the leftover ends", || !runs(old)).await;
    assert_kept(&second).await;
}

#[tokio::test]
async fn data_that_was_half_made_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data.new/base")).unwrap();
    fs::write(dir.path().join("data.new/PG_VERSION"), "15").unwrap();
    Postgres::start(options(dir.path()).await).await.unwrap().stop().await.unwrap();
    assert!(!dir.path().join("data.new").exists());
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/PG_VERSION"), "9.6\n").unwrap();
    let refused = Postgres::start(options(dir.path()).await).await.unwrap_err();
    assert!(
        matches!(&refused, Error::DataVersion { made_by, .. } if made_by == "9.6"),
        "{refused}"
    );
    assert!(refused.hint().unwrap().contains("MAESTRO_POSTGRES_BIN"));
}

#[tokio::test]
async fn a_lost_password_is_set_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = Postgres::start(options(dir.path()).await).await.unwrap();
    keep_a_row(&first).await;
    first.stop().await.unwrap();
    let mut other = options(dir.path()).await;
    other.password = "another1".into();
    assert!(matches!(Postgres::start(other.clone()).await.unwrap_err(), Error::Database { .. }));
    other.reset_password = true;
    assert_kept(&Postgres::start(other).await.unwrap()).await;
}

#[tokio::test]
async fn more_databases_are_made_and_dropped_and_names_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(options(dir.path()).await).await.unwrap();
    let url = postgres.create_database("test_1").await.unwrap();
    let open = PgConnection::connect(&url).await.unwrap();
    postgres.drop_database("test_1").await.unwrap();
    drop(open);
    assert!(PgConnection::connect(&url).await.is_err());
    for name in ["", "1a", "a;drop table x", "A", "a\"b"] {
        assert!(matches!(postgres.create_database(name).await, Err(Error::Name { .. })), "{name}");
    }
}

/// Only root has more than one way, and this machine may forbid one of them.
#[tokio::test]
async fn each_way_of_root_works_and_reads_the_data_of_the_other() {
    let chosen = RunAs::choose().await.unwrap();
    if !geteuid().is_root() {
        assert_eq!(chosen, RunAs::Ourselves);
        return;
    }
    let (uid, gid) = system_user();
    // Only root may enter this directory, so the user must not need to be let in.
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path()).await;
    options.run_as = Some(RunAs::User { uid, gid });
    let by_user = Postgres::start(options.clone()).await.unwrap();
    keep_a_row(&by_user).await;
    assert_eq!(fs::metadata(dir.path().join("data")).unwrap().uid(), uid);
    assert_eq!(fs::metadata(format!("/proc/{}", by_user.pid())).unwrap().uid(), uid);
    by_user.stop().await.unwrap();
    options.run_as = Some(chosen);
    let by_choice = Postgres::start(options.clone()).await.unwrap();
    assert_kept(&by_choice).await;
    by_choice.stop().await.unwrap();
    options.run_as = Some(RunAs::User { uid, gid });
    assert_kept(&Postgres::start(options).await.unwrap()).await;
}

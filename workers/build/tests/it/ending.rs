//! How a sandboxed step ends: by itself, asked to, and with its worker.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::sandbox::{Isolation, Level, Network};
use maestro_schemas::task::Task;

use super::bench::{
    Bench, HELPER, LEVELS, eventually, failure, has_file, marked, offline, shell, strict,
};

#[tokio::test]
async fn the_log_begins_with_what_was_applied_and_the_report_holds_it() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let outcome = bench.script("echo hello").await;
        let applied = bench.applied(&outcome).await;
        assert_eq!((applied.level, &applied.network), (level, &Network::FULL));
        let log = bench.log().await;
        let (first, rest) = log.split_once('\n').expect("two lines");
        assert!(first.starts_with(&format!("sandbox: {level}; network: full;")), "{first}");
        assert_eq!(rest, "hello\n");
    }
}

#[tokio::test]
async fn a_failed_step_says_too_what_it_was_kept_in() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let outcome = bench.carry_out(strict("exit 7")).await;
    let applied = bench.applied(&outcome).await;
    assert_eq!((applied.level, applied.network), (Level::Bubblewrap, Network::NONE));
    assert!(applied.tools.contains_key("bubblewrap"), "{:?}", applied.tools);
    let failure = failure(outcome);
    assert_eq!((failure.class, failure.exit_code), (FailureClass::Permanent, Some(7)));
}

#[tokio::test]
async fn a_step_is_never_run_in_less_than_it_asks_for() {
    let asks = [
        (Level::Landlock, strict("echo ran")),
        (Level::Plain, strict("echo ran")),
        (Level::Plain, Task { isolation: Some(Isolation::Sandboxed), ..shell("echo ran") }),
        (Level::Plain, offline("echo ran")),
        (
            Level::Landlock,
            Task { pool: "build-strict".parse().expect("a name"), ..shell("echo ran") },
        ),
        (
            Level::Landlock,
            Task { network: Some(Network::Hosts(vec!["a.b".into()])), ..shell("echo ran") },
        ),
    ];
    for (level, task) in asks {
        let bench = Bench::new(level).await;
        let failure = failure(bench.carry_out(task).await);
        assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
        assert!(failure.message.starts_with("MAE-7001"), "{}", failure.message);
        assert!(!bench.log().await.contains("ran"));
    }
}

#[tokio::test]
async fn a_sandbox_that_is_gone_fails_the_attempt_so_that_another_worker_takes_it() {
    let place = tempfile::tempdir().expect("a directory");
    let copy = place.path().join("bwrap");
    std::fs::copy(super::bench::bubblewrap().expect("bubblewrap"), &copy).expect("copied");
    let search = maestro_build::sandbox::host::Search {
        helper: HELPER.into(),
        bubblewrap: Some(copy.clone()),
        ..Default::default()
    };
    let settings = maestro_build::Settings::from_variables(std::env::vars());
    let host = maestro_build::Host::probe(search, &settings).await.expect("a host");
    assert_eq!(host.level(), Level::Bubblewrap, "{:?}", host.offered());
    std::fs::remove_file(&copy).expect("removed");
    let bench = Bench::of(host);
    let failure = failure(bench.carry_out(strict("echo ran")).await);
    assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
    assert!(failure.message.starts_with("MAE-7002"), "{}", failure.message);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_at_every_level() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let with = serde_json::json!({ "command": ["no-such-program"] });
        let task = Task { with: with.to_string().into_bytes(), ..shell("") };
        let failure = failure(bench.carry_out(task).await);
        assert_eq!(failure.class, FailureClass::Permanent, "{level}: {failure:?}");
        assert!(failure.message.contains("cannot start no-such-program"), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_step_that_is_asked_to_end_can_clean_up_at_every_level() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let script = "trap 'echo cleaned up; exit 0' TERM; echo ready > ready; \
                      while :; do sleep 0.05; done";
        let running = bench.begin(shell(script));
        let scratch = bench.path("scratch");
        eventually(|| has_file(&scratch, "workspace/ready")).await;
        let stopped_at = Instant::now();
        bench.stop.cancel();
        let outcome = running.await.expect("an outcome");
        assert!(matches!(outcome, Outcome::Cancelled { .. }), "{level}: {outcome:?}");
        assert!(stopped_at.elapsed() < Duration::from_millis(1_900), "{level}");
        assert!(bench.log().await.contains("cleaned up"), "{level}");
    }
}

#[tokio::test]
async fn what_a_step_leaves_in_a_session_of_its_own_ends_with_it() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let applied = bench.applied(&bench.script("true").await).await;
        let has_groups = applied.limits_by != maestro_schemas::sandbox::LimitsBy::Rlimit;
        if level != Level::Bubblewrap && !has_groups {
            continue;
        }
        let mark = format!("71{}", std::process::id());
        let script = format!("setsid sh -c 'sleep 600.{mark}' & sleep 0.2");
        bench.says(shell(&script)).await;
        assert_eq!(marked(&format!("600.{mark}")), 0, "{level}");
    }
}

/// What the test below starts as a worker that is killed: this very test, by its name.
const WORKER: &str = "MAESTRO_TEST_WORKER";

#[tokio::test]
async fn a_sandboxed_step_does_not_outlive_its_worker_killed() {
    let mark = format!("6.0{}", std::process::id());
    if let Ok(mark) = std::env::var(WORKER) {
        let bench = Bench::new(Level::Bubblewrap).await;
        // Forks twice into a session of its own, as a daemon does.
        let script = format!("setsid sh -c '(sleep 60{mark} &) ; sleep 60{mark}' & sleep 60{mark}");
        bench.script(&script).await;
        return;
    }
    let mut worker = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", "ending::a_sandboxed_step_does_not_outlive_its_worker_killed"])
        .env(WORKER, &mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a worker");
    let sleeping = format!("sleep\060{mark}");
    eventually(|| marked(&sleeping) >= 3).await;
    worker.kill().expect("killed");
    worker.wait().expect("ended");
    eventually(|| marked(&sleeping) == 0).await;
}

#[tokio::test]
async fn a_helper_that_is_another_program_is_found_out() {
    let search = maestro_build::sandbox::host::Search {
        helper: "/bin/true".into(),
        bubblewrap: super::bench::bubblewrap(),
        ..Default::default()
    };
    let settings = maestro_build::Settings::from_variables(std::env::vars());
    let refused = maestro_build::Host::probe(search, &settings).await.expect_err("refused");
    assert!(refused.contains("plain does not work"), "{refused}");
}

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::*;

/// The process ids that a script has written to `$BENCH/pids`.
fn pids(bench: &Bench) -> Vec<Pid> {
    let written = bench.written("pids");
    written
        .split_inclusive('\n')
        .filter_map(|line| line.strip_suffix('\n')?.parse().ok())
        .map(Pid::from_raw)
        .collect()
}

/// Whether the process has ended; one that nobody has reaped has.
fn is_dead(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(pid, None) == Err(Errno::ESRCH) || stat.contains(") Z ") || stat.is_empty()
}

async fn all_dead(pids: &[Pid]) {
    eventually(|| pids.iter().all(|pid| is_dead(*pid))).await;
}

#[tokio::test]
async fn an_exit_code_is_reported_with_the_last_lines() {
    let bench = Bench::new();
    let failure = permanent(bench.script("echo first; echo it broke >&2; exit 7").await);
    assert_eq!((failure.exit_code, failure.signal), (Some(7), None));
    assert!(failure.message.contains("exit code 7"), "{}", failure.message);
    assert!(failure.message.ends_with("first\nit broke"), "{}", failure.message);
}

#[tokio::test]
async fn a_signal_is_reported_by_number_and_name() {
    let bench = Bench::new();
    for (name, number) in [("SEGV", 11), ("KILL", 9), ("TERM", 15)] {
        let failure = permanent(bench.script(&format!("kill -{name} $$")).await);
        assert_eq!((failure.exit_code, failure.signal), (None, Some(number)));
        assert!(failure.message.contains(name), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_script_ends_at_its_first_failing_command() {
    let bench = Bench::new();
    let failure = permanent(bench.script("false | true\necho not reached").await);
    assert_eq!(failure.exit_code, Some(1));
    assert!(!bench.log().await.contains("not reached"));
}

#[tokio::test]
async fn a_command_of_words_meets_no_shell() {
    let bench = Bench::new();
    let with = json!({ "command": ["printf", "%s|", "$HOME", "a b", 3] });
    success(bench.carry_out(task("shell", with)).await);
    assert_eq!(bench.log().await, "$HOME|a b|3|");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let bench = Bench::new();
    let with = json!({ "command": ["no-such-program"] });
    let failure = permanent(bench.carry_out(task("shell", with)).await);
    assert!(failure.message.contains("no-such-program"), "{}", failure.message);
}

#[tokio::test]
async fn both_streams_arrive_in_the_order_of_writing() {
    let bench = Bench::new();
    success(bench.script("for i in $(seq 300); do echo out $i; echo err $i >&2; done").await);
    let expected: String = (1..=300).map(|i| format!("out {i}\nerr {i}\n")).collect();
    assert_eq!(bench.log().await, expected);
}

#[tokio::test]
async fn only_declared_variables_and_a_fixed_few_are_there() {
    let mut bench = Bench::new();
    bench.pool = BuildPool::new(Settings { path: "/usr/bin:/bin".into(), ..Settings::default() });
    let mut step = task("shell", json!({ "command": ["env"] }));
    step.env = [("GREETING".to_owned(), "hello".to_owned())].into();
    let run = step.run.to_string();
    success(bench.carry_out(step).await);
    let log = bench.log().await;
    let names: BTreeSet<&str> =
        log.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected = [
        "CI",
        "GREETING",
        "HOME",
        "LANG",
        "MAESTRO_ATTEMPT",
        "MAESTRO_OUTPUT",
        "MAESTRO_RUN",
        "MAESTRO_STEP",
        "PATH",
        "TMPDIR",
        "USER",
    ];
    assert_eq!(names, BTreeSet::from(expected));
    for line in [
        "GREETING=hello",
        "MAESTRO_ATTEMPT=3",
        "MAESTRO_STEP=build/step",
        "PATH=/usr/bin:/bin",
        &format!("MAESTRO_RUN={run}"),
    ] {
        assert!(log.lines().any(|found| found == line), "{line} is not in\n{log}");
    }
}

#[tokio::test]
async fn variables_that_cannot_be_are_refused_by_name() {
    let bench = Bench::new();
    for (name, value) in [("MAESTRO_RUN", "x"), ("A=B", "x"), ("", "x"), ("A", "x\0y")] {
        let mut step = shell("true");
        step.env = [(name.to_owned(), value.to_owned())].into();
        let failure = permanent(bench.carry_out(step).await);
        assert!(failure.message.contains(name), "{}", failure.message);
    }
}

#[tokio::test]
async fn what_a_step_leaves_running_dies_with_it() {
    let bench = Bench::new();
    let script = "(trap '' TERM HUP; echo $BASHPID >> $BENCH/pids; while :; do sleep 60; done) & \
                  until [ -s $BENCH/pids ]; do sleep 0.01; done";
    success(bench.script(script).await);
    assert_eq!(pids(&bench).len(), 1);
    all_dead(&pids(&bench)).await;
}

#[tokio::test]
async fn a_stop_ends_the_whole_group_even_what_ignores_the_request() {
    let bench = Bench::new();
    let script = "trap '' TERM; echo $$ >> $BENCH/pids; \
                  (trap '' TERM; echo $BASHPID >> $BENCH/pids; while :; do sleep 60; done) & \
                  while :; do sleep 60; done";
    let running = tokio::spawn(bench.pool.carry_out(bench.execution(bench.shell(script))));
    eventually(|| pids(&bench).len() == 2).await;
    let stopped_at = Instant::now();
    bench.stop.cancel();
    let outcome = running.await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    let took = stopped_at.elapsed();
    assert!(took >= Duration::from_millis(1900), "no time to end: {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    all_dead(&pids(&bench)).await;
}

#[tokio::test]
async fn a_step_that_obeys_a_stop_can_clean_up_and_is_cancelled_at_once() {
    let bench = Bench::new();
    let script =
        "trap 'echo cleaned up; exit 0' TERM; touch $BENCH/ready; while :; do sleep 0.05; done";
    let running = tokio::spawn(bench.pool.carry_out(bench.execution(bench.shell(script))));
    eventually(|| bench.path("ready").exists()).await;
    let stopped_at = Instant::now();
    bench.stop.cancel();
    let outcome = running.await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    assert!(bench.log().await.contains("cleaned up"));
    assert!(stopped_at.elapsed() < Duration::from_millis(1900));
}

#[tokio::test]
async fn a_dropped_execution_leaves_no_process() {
    let bench = Bench::new();
    let script = "trap '' TERM; echo $$ >> $BENCH/pids; sleep 600 & echo $! >> $BENCH/pids; wait";
    let running = tokio::spawn(bench.pool.carry_out(bench.execution(bench.shell(script))));
    eventually(|| pids(&bench).len() == 2).await;
    running.abort();
    assert!(running.await.is_err());
    all_dead(&pids(&bench)).await;
}

#[tokio::test]
async fn a_process_that_left_the_group_holds_nothing_up() {
    let bench = Bench::new();
    let started = Instant::now();
    success(
        bench
            .script("setsid sh -c 'echo $$ >> $BENCH/pids; exec sleep 20' & sleep 0.3; echo done")
            .await,
    );
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(bench.log().await.contains("done"));
    for pid in pids(&bench) {
        // It is the test's own to clear away.
        let _ = kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

#[tokio::test]
async fn two_hundred_megabytes_of_output_are_kept_without_being_gathered() {
    let bench = Bench::new();
    let execution = bench.execution(shell("head -c 200000000 /dev/zero; echo the end"));
    let log = execution.log.clone();
    success(bench.pool.carry_out(execution).await);
    let kept = log.finish().await.expect("a log");
    assert_eq!(kept.size, 200_000_008);
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let peak: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
        .expect("a peak");
    assert!(peak < 150_000, "{peak} kB");
}

#[tokio::test]
async fn a_directory_to_work_in_must_be_inside() {
    let bench = Bench::new();
    let within = |path: &str| {
        let with = json!({ "command": ["pwd"], "working_directory": path });
        bench.carry_out(task("shell", with))
    };
    success(within("./").await);
    for path in ["..", "/tmp", "missing"] {
        permanent(within(path).await);
    }
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused_in_words() {
    let bench = Bench::new();
    for (action, with, says) in [
        ("shell", json!({}), "either `script` or `command`"),
        ("shell", json!({ "script": "x", "oops": 1 }), "oops"),
        ("shell", json!([1]), "shell"),
        ("bake.cake", json!({}), "bake.cake"),
        ("build.cobol", json!({}), "cobol"),
    ] {
        let failure = permanent(bench.carry_out(task(action, with)).await);
        assert!(failure.message.contains(says), "{}", failure.message);
    }
}

#[tokio::test]
async fn a_preset_shows_and_runs_its_commands_in_order() {
    let bench = Bench::new();
    let with = json!({
        "install": "echo installing",
        "command": "echo building",
        "args": ["now"],
        "cache_key": "any further key",
    });
    success(bench.carry_out(task("build.typescript", with)).await);
    assert_eq!(
        bench.log().await,
        "$ echo installing\ninstalling\n$ echo building now\nbuilding now\n"
    );
}

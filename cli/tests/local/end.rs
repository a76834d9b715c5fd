//! How runs and stacks end: badly, early, and without leaving anything behind.

use nix::sys::signal::Signal;

use crate::session::{Session, lives, until};

const FAILS: &str = "
name: fails
inputs:
  broken: { type: boolean, default: true }
stages:
  - name: build
    steps:
      - name: good
        run: shell
        with: { script: 'echo built; date +%N > stamp' }
        artifacts: { stamp: stamp }
  - name: test
    steps:
      - name: bad
        run: shell
        retry: 0
        with:
          script: |
            echo 'left: 1, right: 2'
            if [ '{{ inputs.broken }}' = true ]; then exit 7; fi
";

const SLEEPS: &str = "
name: sleeps
stages:
  - name: wait
    steps:
      - name: long
        run: shell
        with: { script: 'echo begun; sleep 300' }
";

#[test]
fn a_run_that_fails_says_why_and_how_to_go_on_and_goes_on() {
    let session = Session::new(FAILS);
    let failed = session.run(&["run"]).ends_with(3);
    for said in ["✗ failed", "test/bad", "exit code 7", "│ left: 1, right: 2", "--failed --local"]
    {
        assert!(failed.stdout.contains(said), "{said:?} is not in: {}", failed.stdout);
    }
    let logs = session.run(&["logs", "last", "--failed"]).ends_with(0);
    let (sandbox, said) = logs.stdout.split_once('\n').unwrap();
    assert!(sandbox.starts_with("[test/bad] sandbox: "), "{sandbox}");
    assert_eq!(said, "[test/bad] left: 1, right: 2\n");
    let first = session.json(&["artifacts", "list", "last"]);

    session.run(&["runs", "rerun", "last", "--failed"]).ends_with(3);
    session.run(&["runs", "rerun", "last", "--failed", "--set", "broken=false"]).ends_with(0);
    let last = session.json(&["artifacts", "list", "last"]);
    let stamp = |list: &serde_json::Value| {
        let made = list["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .find(|made| made["role"] == "stamp")
            .cloned();
        made.map(|made| made["digest"].clone())
    };
    assert_eq!(stamp(&first), stamp(&last), "a step that had succeeded ran again");
}

#[test]
fn an_interrupt_cancels_where_nobody_can_be_asked_and_a_second_one_leaves() {
    let session = Session::new(SLEEPS);
    session.run(&["pools"]).ends_with(0);
    let mut run = session.spawn(&["run", "--local"]);
    run.says("sleeps");
    until("the step is in hand", || session.run(&["pools"]).stdout.contains("wait/long"));
    run.signal(Signal::SIGINT);
    run.done().ends_with(130);
    assert_eq!(session.json(&["runs", "show", "last"])["run"]["state"], "cancelled");
}

#[test]
fn a_wait_that_is_over_leaves_the_run_to_itself() {
    let session = Session::new(SLEEPS);
    let late = session.run(&["run", "--wait-timeout", "500ms"]).ends_with(7);
    assert!(late.stderr.contains("maestro runs watch run_"), "{}", late.stderr);
    assert_eq!(session.json(&["runs", "show", "last"])["run"]["state"], "running");
    session.run(&["runs", "cancel", "last", "--reason", "enough"]).ends_with(0);
    session.run(&["runs", "watch", "last"]).ends_with(3);
}

#[test]
fn a_log_is_followed_while_its_step_runs() {
    let session = Session::new(SLEEPS);
    session.run(&["run", "--detach"]).ends_with(0);
    let mut one = session.spawn(&["logs", "-f", "last", "wait/long", "--local"]);
    one.prints("begun");
    let mut all = session.spawn(&["logs", "-f", "last", "--local"]);
    assert_eq!(all.prints("begun"), "[wait/long] begun\n");
    session.run(&["runs", "cancel", "last"]).ends_with(0);
    one.done().ends_with(0);
    all.done().ends_with(0);
}

#[test]
fn a_stack_that_is_told_to_end_leaves_nothing_and_refuses_a_second_one_before() {
    let session = Session::new(SLEEPS);
    let mut up = session.spawn(&["up"]);
    assert!(up.prints("http://").starts_with("api "));
    let processes = session.processes();
    assert_eq!(processes.len(), 3);
    let second = session.spawn(&["up"]).done().ends_with(1);
    assert!(second.stderr.contains("another maestro runs a stack"), "{}", second.stderr);
    up.signal(Signal::SIGTERM);
    up.done().ends_with(0);
    for pid in processes {
        assert!(!lives(pid), "{pid} is left");
    }
}

#[test]
fn a_stack_that_nobody_uses_ends_by_itself_but_not_before_its_runs() {
    let session = Session::new(SLEEPS);
    session.run(&["run", "--detach"]).ends_with(0);
    let processes = session.processes();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(8);
    until("longer than a stack waits for users", || {
        assert!(processes.iter().all(|pid| lives(*pid)), "the stack ended under a run");
        std::time::Instant::now() > patience
    });
    session.run(&["runs", "cancel", "last"]).ends_with(0);
    until("the stack has ended", || processes.iter().all(|pid| !lives(*pid)));
}

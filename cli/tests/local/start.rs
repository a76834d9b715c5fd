//! From an empty directory to a run's end, and what one asks about it afterwards.

use nix::sys::signal::Signal;

use crate::session::Session;

const SHELL: &str = include_str!("../../src/commands/init/shell.yaml");

#[test]
fn an_empty_directory_needs_one_command_and_tells_all_about_the_run() {
    let session = Session::new(SHELL);
    let run = session.run(&["run", "--label", "kind=first"]).ends_with(0);
    assert!(run.stdout.starts_with("✓ succeeded: "), "{}", run.stdout);
    assert!(run.stdout.contains("greet/hello greeting  13 B  sha256:"), "{}", run.stdout);
    assert!(run.stderr.contains("[greet/hello] succeeded"), "{}", run.stderr);

    let log = session.run(&["logs", "last", "greet/hello"]).ends_with(0);
    assert!(log.stdout.contains("hello, world\n"), "{}", log.stdout);
    let logs = session.run(&["logs", "last"]).ends_with(0);
    assert!(logs.stdout.contains("[greet/hello] hello, world\n"), "{}", logs.stdout);

    session
        .run(&["artifacts", "get", "last", "greet/hello", "greeting", "-o", "fetched"])
        .ends_with(0);
    assert_eq!(session.read("fetched").as_deref(), Some("hello, world\n"));
    let list = session.json(&["artifacts", "list", "last"]);
    let made = list["artifacts"].as_array().unwrap();
    let greeting = made.iter().find(|made| made["role"] == "greeting").unwrap();
    let digest = greeting["digest"].as_str().unwrap();
    assert_eq!(session.run(&["artifacts", "get", digest]).ends_with(0).stdout, "hello, world\n");

    let found = session.json(&["runs", "list", "--label", "kind=first", "--state", "succeeded"]);
    assert_eq!(found["runs"].as_array().unwrap().len(), 1);
    let none = session.json(&["runs", "list", "--label", "kind=second"]);
    assert_eq!(none["runs"].as_array().unwrap().len(), 0);
    let shown = session.json(&["runs", "show", "last"]);
    assert_eq!(shown["run"]["state"], "succeeded");
    assert_eq!(shown["steps"].as_array().unwrap().len(), 2);
    assert!(session.run(&["runs", "show", "last"]).ends_with(0).stdout.contains("✓ hello"));
    assert_eq!(session.run(&["runs", "why", "last"]).ends_with(0).stdout, "no step waits\n");
    assert!(session.run(&["pools"]).ends_with(0).stdout.contains("build"));
    let well = session.run(&["doctor"]).ends_with(0);
    assert!(well.stdout.contains("is admin of project default"), "{}", well.stdout);
}

#[test]
fn json_lines_begin_with_the_submission_and_end_with_the_run() {
    let session = Session::new(SHELL);
    let lines = session.run(&["run", "--json", "--input", "who=json"]).ends_with(0).lines();
    assert_eq!(lines.first().unwrap()["event"], "submitted");
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "ended");
    assert_eq!(last["run"]["state"], "succeeded");
    assert_eq!(last["run"]["inputs"]["who"], "json");
    assert!(lines.iter().any(|line| line["event"] == "step" && line["state"] == "succeeded"));
}

#[test]
fn a_run_that_ended_before_it_was_watched_is_told_step_by_step() {
    let session = Session::new(SHELL);
    session.run(&["run"]).ends_with(0);
    let watched = session.run(&["runs", "watch", "last"]).ends_with(0);
    assert!(watched.stderr.contains("[greet/hello] succeeded"), "{}", watched.stderr);
    let lines = session.run(&["runs", "watch", "last", "--json"]).ends_with(0).lines();
    assert!(lines.iter().any(|line| line["event"] == "step" && line["state"] == "succeeded"));
}

#[test]
fn the_same_key_is_the_same_run_and_another_request_under_it_is_refused() {
    let session = Session::new(SHELL);
    let submit = |who: &str| {
        session.run(&[
            "run",
            "--detach",
            "--json",
            "--idempotency-key",
            "k",
            "--input",
            &format!("who={who}"),
        ])
    };
    let first = submit("one").ends_with(0).stdout;
    let again = submit("one").ends_with(0).stdout;
    let run = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["run"].clone();
    assert_eq!(run(&first), run(&again));
    let other = submit("two").ends_with(1);
    assert!(other.stderr.contains("MAE-2010"), "{}", other.stderr);
}

#[test]
fn a_plan_asks_the_stack_and_what_is_not_there_ends_with_6_and_a_wrong_token_with_4() {
    let session = Session::new(SHELL);
    // Stays although nobody is attached for a while.
    let mut up = session.spawn(&["up"]);
    up.prints("http://");
    let plan = session.json(&["plan"]);
    assert_eq!(plan["asked"], true);
    assert_eq!(plan["steps"].as_array().unwrap().len(), 2);
    let lost = session.run(&["runs", "show", "run_01h455vb4pex5vsknk084sn02q"]).ends_with(6);
    assert!(lost.stderr.contains("error[MAE-2005]"), "{}", lost.stderr);
    session.run(&["runs", "show", "last"]).ends_with(6);
    let state: serde_json::Value =
        serde_json::from_str(&session.read(".maestro/state.json").unwrap()).unwrap();
    let api = state["api"].as_str().unwrap();
    let stranger = session
        .command(&["runs", "list", "--server", api])
        .env("MAESTRO_TOKEN", "guessed")
        .output()
        .unwrap();
    assert_eq!(stranger.status.code(), Some(4));
    up.signal(Signal::SIGTERM);
    up.done().ends_with(0);
}

/// A file's path and text.
type File = (&'static str, &'static str);

/// A template by name and text, and the files of a small project that it runs.
const PROJECTS: [(&str, &str, &[File]); 3] = [
    (
        "rust",
        include_str!("../../src/commands/init/rust.yaml"),
        &[
            ("Cargo.toml", "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
            ("src/lib.rs", "//! x\n\n#[test]\nfn holds() {}\n"),
        ],
    ),
    (
        "node",
        include_str!("../../src/commands/init/node.yaml"),
        &[
            ("package.json", r#"{"name":"x","version":"1.0.0","scripts":{"test":"node --test"}}"#),
            ("x.test.js", "require('node:test')('holds', () => {});\n"),
        ],
    ),
    (
        "python",
        include_str!("../../src/commands/init/python.yaml"),
        &[(
            "test_x.py",
            "import unittest\nclass X(unittest.TestCase):\n    def test_holds(self): pass\n",
        )],
    ),
];

#[test]
fn every_template_runs_a_small_project_of_its_kind() {
    for (name, pipeline, files) in PROJECTS {
        let session = Session::new(pipeline);
        for (path, text) in files {
            session.write(path, text);
        }
        let run = session.run(&["run"]);
        assert_eq!(run.code, 0, "{name}: {}{}", run.stdout, run.stderr);
    }
}

const PLACED: &str = r#"
name: placed
stages:
  - name: s
    steps:
      - run: shell
        name: where
        isolation: plain
        with:
          script: |
            d="$PWD"
            while [ "$d" != / ]; do
              d="$(dirname "$d")"
              ! test -e "$d/maestro.yaml" || echo "found $d/maestro.yaml"
            done
            pwd >> "$HOLD"
"#;

#[test]
fn no_step_works_below_the_project_whose_settings_its_tools_would_find() {
    let session = Session::new(PLACED);
    let place = session.path("place");
    session.write("maestro.yaml", &PLACED.replace("$HOLD", &place.display().to_string()));
    session.run(&["run"]).ends_with(0);
    let log = session.run(&["logs", "last", "s/where"]).ends_with(0).stdout;
    assert!(!log.contains("found"), "{log}");
    let place = session.read("place").unwrap();
    assert!(place.trim().ends_with("/workspace"), "{place}");
    assert!(!std::path::Path::new(place.trim()).exists(), "it goes with its step: {place}");
}

//! Whole sessions of the program where no server is needed: what it prints where, and its exit
//! codes. `UPDATE_GOLDEN=1` writes the files of `golden/` anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds something else than it expects is to stop there"
)]

mod keys;
mod policy;
mod prompts;
mod sbom;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The specification's example, byte for byte.
const EXAMPLE: &str = include_str!("example.yaml");

struct Session {
    dir: TempDir,
}

struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Session {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self { dir }
    }

    fn run(&self, args: &[&str]) -> Done {
        self.run_with(&[], args)
    }

    /// With variables of the environment.
    fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_maestro"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("GIT_CEILING_DIRECTORIES", self.dir.path().parent().unwrap())
            .env("COLUMNS", "100")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        Done::of(&output)
    }

    fn git(&self, args: &[&str]) {
        let status = Command::new("git")
            .current_dir(self.dir.path())
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

fn golden(name: &str, found: &str) {
    let path: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name} differs; UPDATE_GOLDEN=1 writes it anew");
}

fn shell(script: &str) -> String {
    format!(
        "name: small\nstages:\n  - name: one\n    steps:\n      - name: step\n        run: shell\n        with:\n          script: {script}\n"
    )
}

#[test]
fn the_help_names_the_commands_the_exit_codes_and_examples() {
    let session = Session::new(&[]);
    let help = session.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    golden("help.txt", &help.stdout);
    for command in [
        "init",
        "validate",
        "plan",
        "run",
        "runs list",
        "runs rerun",
        "logs",
        "artifacts get",
        "pools",
        "doctor",
        "route",
        "route simulate",
        "router",
        "router render",
        "policy",
        "policy test",
        "policy check",
        "policy explain",
        "policy replay",
        "sbom",
        "prompts",
        "prompts push",
        "prompts list",
        "prompts show",
        "prompts diff",
        "prompts render",
        "prompts label",
    ] {
        let mut words: Vec<&str> = command.split(' ').collect();
        words.push("--help");
        let help = session.run(&words);
        assert_eq!(help.code, 0, "{command}");
        assert!(help.stdout.contains("Examples:\n  maestro "), "{command} has no examples");
    }
}

#[test]
fn a_command_line_that_cannot_be_understood_ends_with_2() {
    let session = Session::new(&[]);
    for words in [
        &["frobnicate"][..],
        &["runs", "rerun", "last"],
        &["runs", "show", "run_1"],
        &["run", "--input", "x"],
    ] {
        let done = session.run(words);
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{words:?}");
        assert!(!done.stderr.is_empty(), "{words:?}");
    }
}

#[test]
fn the_example_validates_and_plans_as_six_steps() {
    let session = Session::new(&[("maestro.yaml", EXAMPLE), ("package.json", "{}\n")]);
    session.git(&["init", "-q", "-b", "main"]);
    session.git(&["add", "."]);
    session.git(&["commit", "-q", "-m", "one"]);
    let valid = session.run(&["validate", "--json"]);
    assert_eq!(valid.code, 0, "{}", valid.stderr);
    assert_eq!(valid.json()["steps"], 6);
    let plan = session.run(&["plan"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    golden("plan-example.txt", &plan.stdout);
    assert!(plan.stderr.contains("no server was asked"), "{}", plan.stderr);
    let json = session.run(&["plan", "--json"]).json();
    assert_eq!(json["steps"].as_array().unwrap().len(), 6);
    assert_eq!(json["asked"], false);
    golden("plan-example.mmd", &session.run(&["plan", "--mermaid"]).stdout);
}

#[test]
fn what_is_wrong_with_a_pipeline_is_told_with_its_place() {
    let broken = "name: broken\nstages:\n  - name: build\n    steps:\n      - run: shell\n        wiht:\n          script: \"true\"\n      - run: shell\n        with:\n          scirpt: \"true\"\n";
    let session = Session::new(&[("maestro.yaml", broken)]);
    let done = session.run(&["validate"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    golden("validate-broken.txt", &done.stderr);
    let json = session.run(&["validate", "--json"]);
    assert_eq!(json.code, 1);
    assert_eq!(json.json()["valid"], false);
    assert_eq!(json.json()["errors"][0]["line"], 6);
}

#[test]
fn a_pipeline_that_is_not_there_ends_with_6_and_a_way_on() {
    let done = Session::new(&[]).run(&["validate"]);
    assert_eq!(done.code, 6);
    assert!(done.stderr.contains("hint: begin one with `maestro init`"), "{}", done.stderr);
}

#[test]
fn what_init_writes_is_valid_and_is_not_written_over() {
    let session = Session::new(&[]);
    for template in ["shell", "rust", "node", "python"] {
        let made = session.run(&["init", "--template", template, template]);
        assert_eq!((made.code, made.stdout.as_str()), (0, ""), "{}", made.stderr);
        let file = format!("{template}/maestro.yaml");
        let valid = session.run(&["validate", "--pipeline", &file]);
        assert_eq!(valid.code, 0, "{}", valid.stderr);
        let again = session.run(&["init", "--template", template, template]);
        assert_eq!(again.code, 2);
        assert!(again.stderr.contains("--force"), "{}", again.stderr);
    }
}

#[test]
fn a_plan_with_the_same_files_is_the_same_byte_for_byte() {
    let make = || {
        Session::new(&[
            ("maestro.yaml", &shell("'echo hi'")),
            ("src/a", "1"),
            (".gitignore", "out/\n"),
            ("out/x", "junk"),
        ])
    };
    let (one, two) = (make(), make());
    fs::write(two.dir.path().join("out/x"), "other junk").unwrap();
    let (first, second) = (one.run(&["plan", "--json"]), two.run(&["plan", "--json"]));
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn without_a_server_one_is_told_how_to_get_one() {
    let session = Session::new(&[("maestro.yaml", &shell("'true'"))]);
    let done = session.run(&["run"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("--local"), "{}", done.stderr);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let done = session.run(&["runs", "list", "--server", &format!("http://{free}")]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    assert!(done.stderr.contains(&format!("cannot reach http://{free}")), "{}", done.stderr);
    assert!(done.stderr.contains("hint: start a local stack with `maestro up`"), "{}", done.stderr);
}

#[test]
fn an_error_is_json_too_where_that_is_asked_for() {
    let done = Session::new(&[]).run(&["runs", "list", "--json"]);
    assert_eq!((done.code, done.stdout.as_str()), (2, ""));
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["exit"], 2);
    assert!(error["error"]["hint"].is_string());
}

/// Three topics of which the weak model loses nothing in the first, and much in the others.
fn outcomes(rows: usize) -> String {
    let row = |index: usize| {
        let (topic, loses) = match index % 3 {
            0 => ("easy", 0),
            1 => ("hard", 5),
            _ => ("harder", 7),
        };
        let weak = u8::from(index / 3 % 10 >= loses);
        format!("{topic},{},{weak},1\n", 200 + index % 7)
    };
    let head = "topic,prompt_chars,weak_correct,strong_correct\n".to_owned();
    (0..rows).map(row).fold(head, |text, row| text + &row)
}

#[test]
fn routing_is_simulated_on_rows_that_it_did_not_learn_from() {
    let session = Session::new(&[("train.csv", &outcomes(3_000)), ("judge.csv", &outcomes(1_500))]);
    let words = ["route", "simulate", "--train", "train.csv", "--judge", "judge.csv"];
    let done = session.run(&words);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    for policy in ["always-strong", "always-weak", "random", "oracle", "router"] {
        assert!(done.stdout.contains(&format!("\n{policy} ")), "{}", done.stdout);
    }
    assert_eq!(session.run(&words).stdout, done.stdout);
    let report = session.run(&[&words[..], &["--json"]].concat()).json();
    assert_eq!(report["setting"]["verdict"], "reached");
    assert_eq!(report["policies"][4]["policy"], "router");
    assert_eq!(report["policies"][4]["difference_points"], 0.0);
    assert_eq!(report["reached"]["saving"], true);
    let dear = session.run(&[&words[..], &["--weak-price", "20,1"]].concat());
    assert_eq!(dear.code, 2);
    assert!(dear.stderr.contains("hint: the weak model is the cheaper one"), "{}", dear.stderr);
}

#[test]
fn a_file_of_outcomes_that_is_none_is_refused_with_its_place() {
    let broken = outcomes(3).replace("hard,201,0", "hard,201,no");
    let session = Session::new(&[("train.csv", &outcomes(30)), ("judge.csv", &broken)]);
    let words = ["route", "simulate", "--train", "train.csv", "--judge"];
    let done = session.run(&[&words[..], &["judge.csv"]].concat());
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    let place =
        "error[MAE-4001]: judge.csv:3:10: weak_correct is \"no\", expected 0 or 1\n  hint: ";
    assert!(done.stderr.starts_with(place), "{}", done.stderr);
    let done = session.run(&[&words[..], &["none.csv"]].concat());
    assert_eq!(done.code, 6, "{}", done.stderr);
}

const ROUTER: &str = include_str!("../../../deploy/router/litellm.yaml");

#[test]
fn the_gateways_configuration_is_rendered_and_compared() {
    let session = Session::new(&[("deploy/router/litellm.yaml", ROUTER)]);
    let done = session.run(&["router", "render"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(done.stdout.contains("model: hosted_vllm/Meta-Llama-3.1-70B-Instruct\n"));
    assert!(done.stdout.contains("- maestro_hook.instance\n"), "{}", done.stdout);
    let kept = Session::new(&[("deploy/router/litellm.yaml", ROUTER), ("made.yaml", &done.stdout)]);
    let same = kept.run(&["router", "render", "--diff", "made.yaml"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{}", same.stderr);
    let other = kept.run(&["router", "render", "--offline", "--diff", "made.yaml"]);
    assert_eq!(other.code, 1);
    assert!(other.stdout.contains("\n+     api_key: sk-offline\n"), "{}", other.stdout);
}

#[test]
fn a_configuration_of_the_router_that_is_none_is_refused_with_its_places() {
    let broken = ROUTER.replace("on_error: [sonnet-3.7,", "on_error: [sonet-3.7,");
    let session = Session::new(&[("r.yaml", &broken)]);
    let done = session.run(&["router", "render", "--config", "r.yaml"]);
    assert_eq!((done.code, done.stdout.as_str()), (1, ""));
    let told = "error[MAE-4009]: r.yaml is no configuration of the router\n\
                r.yaml:14:18: MAE-4009 no model has this name\n  found: sonet-3.7\n";
    assert!(done.stderr.starts_with(told), "{}", done.stderr);
    assert!(done.stderr.contains("hint: did you mean \"sonnet-3.7\"?"), "{}", done.stderr);
    assert_eq!(session.run(&["router", "render", "--config", "none.yaml"]).code, 6);
}

#[test]
fn a_worker_that_has_nowhere_to_call_models_is_told_how_to_name_a_place() {
    let hosts = "hosts:\n- url: http://gpu-1:11434\n  gpu_memmory: 48GiB\n";
    let session = Session::new(&[("hosts.yaml", hosts), ("router.yaml", "model_list: []\n")]);
    let worker = |more: &[&str]| {
        let always =
            ["worker", "--pool", "llm", "--nats", "nats://127.0.0.1:9", "--store", "store"];
        session.run(&[&always, more].concat())
    };
    let none = worker(&[]);
    assert_eq!(none.code, 2, "{}", none.stderr);
    assert!(none.stderr.contains("--ollama-hosts") && none.stderr.contains("--litellm"));
    let wrong = worker(&["--ollama-hosts", "hosts.yaml"]);
    assert_eq!(wrong.code, 1, "{}", wrong.stderr);
    for words in ["hosts.yaml:3:3: MAE-4006", "did you mean \"gpu_memory\"?"] {
        assert!(wrong.stderr.contains(words), "{words:?} is not in {}", wrong.stderr);
    }
    let wrong = worker(&["--litellm", "http://127.0.0.1:9", "--direct", "router.yaml"]);
    assert!(wrong.stderr.contains("router.yaml:1:13: MAE-4008"), "{}", wrong.stderr);
    let missing = worker(&["--ollama-hosts", "nowhere.yaml"]);
    assert_eq!(missing.code, 6, "{}", missing.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let session = Session::new(&[]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_maestro"))
        .args(["completions", "bash"])
        .current_dir(session.dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
}

#[test]
fn completions_are_printed_for_every_shell() {
    let session = Session::new(&[]);
    for shell in ["bash", "zsh", "fish"] {
        let done = session.run(&["completions", shell]);
        assert_eq!(done.code, 0);
        assert!(done.stdout.contains("maestro"), "{shell}");
    }
}

//! Which artifact may go where: a run with an SBOM, a test that passes and one that fails, on a branch; and
//! an environment for each thing that can be asked for.

use std::process::Command;

use maestro_evidence::verify::{Question, directory};
use serde_json::{Value, json};

use crate::audit::in_database;
use crate::session::{Done, Session};

const PIPELINE: &str = r#"
name: app
stages:
  - name: build
    steps:
      - name: pack
        run: build.typescript
        with: { install: false, sbom: true, command: 'cp src.txt app.tar' }
        artifacts: { app: app.tar }
  - name: test
    steps:
      - name: unit
        run: test.unit
        with: { toolchain: typescript, install: false, command: 'grep -q hello src.txt' }
      - name: e2e
        run: test.e2e
        with: { toolchain: typescript, install: false, command: 'false' }
"#;
/// One step makes something, one hands it on, and one has it from the first because its key is the same.
const HANDED_ON: &str = r#"
name: app
stages:
  - name: build
    steps:
      - name: make
        run: shell
        effect: pure
        with: { script: 'echo hello > app' }
        artifacts: { app: app }
      - name: copy
        run: shell
        use: [{ from: make, artifact: app }]
        with: { script: 'test -s app' }
        artifacts: { app: app }
  - name: later
    steps:
      - name: again
        run: shell
        effect: pure
        with: { script: 'echo hello > app' }
        artifacts: { app: app }
"#;
const LOCK: &str = r#"{ "name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true, "packages": {
  "": { "name": "app", "version": "1.0.0", "dependencies": { "left": "1.0.0" } },
  "node_modules/left": { "version": "1.0.0", "license": "GPL-3.0-only" } } }
"#;
const UNIT: &[&str] = &["test/unit"];

fn environments() -> Value {
    let all_day = |days: &[&str]| json!([{ "days": days, "reason": "nobody is there" }]);
    let week = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    json!({ "config": { "promotion": { "environments": {
        "staging": {},
        "prod": {
            "branches": ["main"], "steps": UNIT, "actions": ["test.unit"], "sbom": true,
            "denied_licences": ["AGPL-3.0-only"], "max_age_hours": 1, "freezes": all_day(&[]),
            "committed": true,
        },
        "release": { "branches": ["release"] },
        "tested": { "states": ["succeeded"], "actions": ["test.e2e"], "steps": ["test/load"] },
        "licensed": { "denied_licences": ["GPL-3.0-only"] },
        "frozen": { "freezes": all_day(&week) },
        "own-keys": { "keys": ["another"], "builders": ["https://example.org/builder"] },
    } } } })
}

/// A stack with these policies, in which the pipeline ran.
fn session() -> Session {
    let session = Session::new(PIPELINE);
    session.write("package.json", r#"{ "name": "app", "version": "1.0.0" }"#);
    session.write("package-lock.json", LOCK);
    session.write("src.txt", "hello\n");
    session.write(".gitignore", ".maestro/\npolicies/\nout/\n");
    session.write("policies/global/data.json", &environments().to_string());
    let policy = include_str!("../../../policies/rego/promotion.rego");
    session.write("policies/global/promotion.rego", policy);
    git(&session, &["init", "--quiet", "--initial-branch", "main"]);
    git(&session, &["add", "--all"]);
    git(&session, &["commit", "--quiet", "--message", "Begin"]);
    session.run(&["run"]).ends_with(3);
    session.run(&["evidence", "export", "last", "--to", "first"]).ends_with(0);
    session
}

fn git(session: &Session, words: &[&str]) {
    let mut git = Command::new("git");
    git.current_dir(session.path("")).args([
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@example.org",
    ]);
    assert!(git.args(words).status().unwrap().success(), "git {words:?}");
}

/// The reasons of a denial.
fn denied(done: &Done) -> Vec<(String, String)> {
    assert_eq!(done.code, 5, "{}{}", done.stdout, done.stderr);
    let problem: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(problem["code"], "MAE-7100");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let reasons = problem["reasons"].as_array().unwrap().iter();
    reasons.map(|reason| (text(&reason["rule"]), text(&reason["message"]))).collect()
}

#[test]
fn what_policies_ask_for_decides_where_an_artifact_may_go() {
    let session = session();
    let ask = |to: &str| session.run(&["promote", "src.txt", "--to", to, "--json"]);
    for (to, words) in [
        ("nowhere", &["no policy names the environment nowhere"] as &[&str]),
        ("release", &["was built from main at commit"]),
        (
            "tested",
            &[
                "its run ended as failed",
                "test/e2e, which runs test.e2e, ended as failed",
                "no step test/load",
            ],
        ),
        ("licensed", &["the licence GPL-3.0-only"]),
        ("frozen", &["frozen is frozen: nobody is there"]),
        (
            "own-keys",
            &["signed some of its evidence", "/v1; own-keys accepts https://example.org/builder"],
        ),
    ] {
        let reasons = denied(&ask(to));
        for words in words {
            let found = reasons.iter().any(|(rule, message)| {
                rule == "data.maestro.promotion.deny" && message.contains(words)
            });
            assert!(found, "{to}: {words} is not among {reasons:#?}");
        }
        let denials = reasons.iter().filter(|(rule, _)| rule.ends_with(".deny")).count();
        assert_eq!(denials, words.len(), "{to}: {reasons:#?}");
    }
    let people = session.run(&["promote", "src.txt", "--to", "licensed"]).ends_with(5);
    assert!(people.stdout.contains("replace the component"), "{}", people.stdout);
    assert_eq!(session.json(&["promotions"])["promotions"], json!([]), "a denial promotes nothing");
}

#[test]
fn a_promotion_is_signed_listed_audited_exported_and_verified() {
    let session = session();
    let promotion = session.json(&["promote", "src.txt", "--to", "prod"]);
    session.run(&["promote", "src.txt", "--to", "staging", "--run", "last"]).ends_with(0);
    let listed = session.json(&["promotions", "--to", "prod"]);
    assert_eq!(listed["promotions"], json!([promotion]));
    let acts = session.json(&["audit", "list", "--action", "promotion.grant"]);
    let about = acts["entries"][1]["about"].as_str().unwrap().to_owned();
    let artifact = promotion["artifact"].as_str().unwrap();
    assert_eq!(about, format!("{artifact} to prod by {}", promotion["run"].as_str().unwrap()));

    session.run(&["evidence", "export", "last", "--to", "out"]).ends_with(0);
    session.write("prod.toml", "promoted = [\"prod\", \"staging\"]\n");
    let words = ["verify", "src.txt", "--dir", "out", "--expect", "prod.toml"];
    let found = session.offline_json(&words);
    assert_eq!(found["verified"], true, "{found}");
    let to: Vec<&Value> =
        found["promotions"].as_array().unwrap().iter().map(|one| &one["environment"]).collect();
    assert_eq!(to, ["prod", "staging"]);
    assert_eq!(found["promotions"][0]["levels"], json!(["SLSA_BUILD_LEVEL_1"]));
    session.write("qa.toml", "promoted = [\"qa\"]\n");
    let refused = session.offline(&["verify", "--dir", "out", "--expect", "qa.toml"]).ends_with(1);
    assert!(refused.stdout.contains("MAE-7095"), "{}", refused.stdout);

    let place = session.path("out");
    let name = format!("promotions/prod.{}.sigstore.json", promotion["id"].as_str().unwrap());
    let bytes = std::fs::read(place.join(&name)).unwrap();
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(place.join(&name), changed).unwrap();
        let failures = directory(&place, &Question::default()).failures;
        let named = failures.iter().any(|one| one.file == name && one.code == "MAE-7097");
        assert!(named, "byte {at}: {failures:?}");
    }
    std::fs::write(place.join(&name), &bytes).unwrap();
    let another = session.path("first").join(&name);
    std::fs::create_dir_all(another.parent().unwrap()).unwrap();
    std::fs::write(another, &bytes).unwrap();
    assert!(directory(&session.path("first"), &Question::default()).verified);
}

#[test]
fn a_summary_over_the_evidence_of_another_run_is_not_believed() {
    let session = session();
    session.run(&["run"]).ends_with(3);
    session.run(&["verify", "last"]).ends_with(0);
    let promotion = session.json(&["promote", "src.txt", "--to", "staging", "--run", "last"]);
    session.run(&["evidence", "export", "last", "--to", "out"]).ends_with(0);
    let name = format!("promotions/staging.{}.sigstore.json", promotion["id"].as_str().unwrap());
    let artifact = promotion["artifact"].as_str().unwrap().parse().unwrap();
    let asked = Question { artifact: Some(artifact), ..Question::default() };
    let first = session.path("first");
    for directory_of in [&first, &session.path("out")] {
        let found = directory(directory_of, &asked);
        assert!(found.verified, "both runs made it: {:?}", found.failures);
    }
    std::fs::create_dir_all(first.join("promotions")).unwrap();
    std::fs::copy(session.path("out").join(&name), first.join(&name)).unwrap();
    let failures = directory(&first, &asked).failures;
    assert_eq!(failures.len(), 1, "{failures:?}");
    let failure = &failures[0];
    assert_eq!((failure.code, failure.file.as_str()), ("MAE-7097", name.as_str()));
    assert!(failure.what.contains("another manifest"), "{failure:?}");
}

#[test]
fn a_step_that_hands_something_on_does_not_hide_the_run_that_made_it() {
    let session = Session::new(HANDED_ON);
    session.write("made", "hello\n");
    session.write(".gitignore", ".maestro/\npolicies/\nout/\nfirst/\n");
    session.write("policies/global/data.json", &environments().to_string());
    let policy = include_str!("../../../policies/rego/promotion.rego");
    session.write("policies/global/promotion.rego", policy);
    for (place, cached, statements, taken) in [("first", 1, 2, 0), ("out", 2, 3, 2)] {
        session.run(&["run"]).ends_with(0);
        let shown = session.json(&["runs", "show", "last"]);
        assert_eq!(shown["run"]["steps_cached"], cached, "{shown}");
        session.run(&["evidence", "export", "last", "--to", place]).ends_with(0);
        session.run(&["promote", "made", "--to", "staging", "--run", "last"]).ends_with(0);
        let found = session.offline_json(&["verify", "--dir", place]);
        assert_eq!((&found["verified"], &found["statements"]), (&json!(true), &json!(statements)));
        let runs = std::fs::read_dir(session.path(place).join("statements/taken"));
        let runs = runs.into_iter().flatten().map(|run| run.unwrap().path());
        let files = runs.flat_map(|run| std::fs::read_dir(run).unwrap());
        assert_eq!(files.count(), taken, "of the run that made it, and handed it on itself");
    }
}

#[test]
fn without_policies_nothing_goes_anywhere() {
    let session = Session::new(PIPELINE);
    session.write("package.json", r#"{ "name": "app", "version": "1.0.0" }"#);
    session.write("package-lock.json", LOCK);
    session.write("src.txt", "hello\n");
    session.run(&["run"]).ends_with(3);
    session.run(&["evidence", "export", "last", "--to", "first"]).ends_with(0);
    let reasons = denied(&session.run(&["promote", "src.txt", "--to", "staging", "--json"]));
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    let (rule, message) = &reasons[0];
    assert_eq!(rule, "maestro.promotion");
    assert!(message.contains("this server has no policies"), "{message}");
    assert_eq!(session.json(&["promotions"])["promotions"], json!([]));
}

#[test]
fn what_nobody_signed_or_somebody_changed_goes_nowhere() {
    let session = session();
    session.write("strange", "made by nobody\n");
    let refused = session.run(&["promote", "strange", "--to", "staging"]).ends_with(1);
    assert!(refused.stderr.contains("MAE-7101"), "{}", refused.stderr);
    assert!(refused.stderr.contains("no signed statement"), "{}", refused.stderr);
    let refused = session.run(&["promote", "src.txt", "--to", "Staging"]).ends_with(1);
    assert!(refused.stderr.contains("MAE-2007"), "{}", refused.stderr);
    session.run(&["promote", "src.txt", "--to", "staging"]).ends_with(0);
    in_database(&session, &["update evidence_file set body = body || '\\x20'"]);
    let refused = session.run(&["promote", "src.txt", "--to", "staging"]).ends_with(1);
    assert!(refused.stderr.contains("is not what was signed"), "{}", refused.stderr);
}

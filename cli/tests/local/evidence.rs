//! What a run left, checked by whoever has nothing but a directory.

use std::path::{Path, PathBuf};

use maestro_evidence::log::ticket::Ticket;
use maestro_evidence::verify::{Question, directory};
use serde_json::Value;

use crate::audit::in_database;
use crate::session::Session;

const PIPELINE: &str = r#"
name: app
stages:
  - name: build
    steps:
      - name: compile
        run: shell
        effect: pure
        with:
          script: |
            mkdir -p dist/bin && echo hello > dist/hello && ln -s hello dist/link
            printf '#!/bin/sh\n' > dist/bin/run && chmod +x dist/bin/run
        artifacts: { dist: dist }
      - name: pack
        run: shell
        use: [{ from: compile, artifact: dist }]
        with: { script: 'tar --mtime=@0 -cf app.tar dist' }
        artifacts: { app: app.tar }
"#;

/// Changes the stack's own keys.
pub fn keys(session: &Session, words: &[&str]) {
    let text = session.read(".maestro/credentials.json").unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let mut command = session.command(&[&["keys"], words, &["--keys", ".maestro/keys"]].concat());
    command.env("MAESTRO_KEY_PASSPHRASE", all["secrets"]["keys"].as_str().unwrap());
    let output = command.env_remove("MAESTRO_ROOT_PASSPHRASE").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_file() => vec![entry.path()],
            _ => vec![],
        })
        .collect()
}

#[test]
fn what_a_run_left_is_verified_offline_and_a_flipped_bit_is_named() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.run(&["evidence", "export", "last", "--to", "out"]).ends_with(0);
    let found = session.offline_json(&["verify", "--dir", "out"]);
    assert_eq!((&found["verified"], &found["statements"]), (&true.into(), &2.into()), "{found}");

    let app = session.offline_json(&["verify", "out/artifacts/build/pack/app", "--dir", "out"]);
    let made: Vec<&str> = app["chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["made"].as_str().unwrap())
        .collect();
    assert_eq!(made, ["build/pack#app", "build/compile#dist"]);

    let place = session.path("out");
    for path in files(&place) {
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 10) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, changed).unwrap();
            let finding = directory(&place, &Question::default());
            let name = path.strip_prefix(&place).unwrap().to_str().unwrap();
            let named = finding.failures.iter().any(|failure| failure.file == name);
            assert!(named, "bit {} of byte {at} of {name}: {:?}", at % 8, finding.failures);
        }
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::write(place.join("artifacts/build/pack/app"), b"another").unwrap();
    let refused = session.offline(&["verify", "--dir", "out"]).ends_with(1);
    assert!(refused.stdout.contains("artifacts/build/pack/app"), "{}", refused.stdout);
}

#[test]
fn a_result_that_was_taken_over_brings_the_statement_of_the_run_that_made_it() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.run(&["run"]).ends_with(0);
    assert_eq!(session.json(&["runs", "show", "last"])["run"]["steps_cached"], 1);
    let found = session.json(&["verify", "last"]);
    assert_eq!((&found["verified"], &found["statements"]), (&true.into(), &2.into()), "{found}");
    let taken = found["chain"][0]["statement"].as_str().unwrap();
    assert!(taken.starts_with("statements/taken/run_"), "{found}");
}

#[test]
fn what_somebody_expects_is_held_against_what_was_signed() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.write("good.toml", "pipeline = \"app\"\nsteps = [\"build/pack\"]\n");
    session.write("bad.toml", "steps = [\"test/unit\"]\n");
    session.write("none.toml", "step = \"test/unit\"\n");
    session.run(&["verify", "last", "--expect", "good.toml"]).ends_with(0);
    let refused = session.run(&["verify", "last", "--expect", "bad.toml"]).ends_with(1);
    assert!(refused.stdout.contains("MAE-7095"), "{}", refused.stdout);
    let refused = session.run(&["verify", "last", "--expect", "none.toml"]).ends_with(1);
    assert!(refused.stderr.contains("MAE-7096"), "{}", refused.stderr);
}

#[test]
fn a_key_that_was_revoked_a_moment_ago_is_known_as_revoked_by_whoever_verifies_an_export() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.run(&["evidence", "export", "last", "--to", "before"]).ends_with(0);
    let before = session.offline_json(&["verify", "--dir", "before"]);
    let (root, key) = (before["root"].as_str().unwrap(), before["key"].as_str().unwrap());
    keys(&session, &["rotate"]);
    keys(&session, &["revoke", key, "--reason", "laptop stolen"]);

    // Nothing is signed in between.
    session.run(&["evidence", "export", "last", "--to", "after"]).ends_with(0);
    let after = session.offline(&["verify", "--dir", "after", "--root", root]).ends_with(1);
    assert!(after.stdout.contains("laptop stolen"), "{}", after.stdout);
    let asked = session.run(&["verify", "last"]).ends_with(1);
    assert!(asked.stdout.contains("laptop stolen"), "{}", asked.stdout);
    session.offline(&["verify", "--dir", "before", "--root", root]).ends_with(0);
    let newer = ["verify", "--dir", "before", "--keys", "after/keys.json"];
    let known = session.offline(&newer).ends_with(1);
    assert!(known.stdout.contains("laptop stolen"), "{}", known.stdout);
    let older = ["verify", "--dir", "after", "--keys", "before/keys.json"];
    session.offline(&older).ends_with(1);
}

#[test]
fn what_a_run_made_that_ended_a_moment_ago_is_waited_for_and_what_nobody_made_is_not() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.run(&["artifacts", "get", "last", "build/pack", "app", "-o", "app.tar"]).ends_with(0);
    session.run(&["verify", "app.tar"]).ends_with(0);

    // It is as if it were not signed yet.
    in_database(
        &session,
        &[
            "create table signed as select * from evidence",
            "create table stated as select * from evidence_subject",
            "update evidence set manifest = null, due_at = 'infinity'",
            "delete from evidence_subject",
        ],
    );
    let mut waiting = session.spawn(&["verify", "app.tar", "--local"]);
    waiting.says("has ended and is not signed yet: waiting at most 20 s");
    session.write("other.tar", "nobody made it");
    let refused = session.run(&["verify", "other.tar"]).ends_with(6);
    assert!(!refused.stderr.contains("waiting"), "{}", refused.stderr);
    in_database(
        &session,
        &[
            "insert into evidence_subject select * from stated",
            "update evidence e set manifest = s.manifest from signed s where s.run = e.run",
        ],
    );
    let done = waiting.done().ends_with(0);
    assert!(done.stdout.contains("verified"), "{}", done.stdout);

    in_database(&session, &["update evidence set manifest = null"]);
    let given_up = session.run(&["verify", "last"]).ends_with(6);
    let said = ["waiting at most 20 s", "signed evidence of run_", "within 20 s"];
    assert!(said.iter().all(|words| given_up.stderr.contains(words)), "{}", given_up.stderr);
    in_database(
        &session,
        &["update evidence e set manifest = s.manifest from signed s where s.run = e.run"],
    );
}

#[test]
fn the_evidence_of_a_run_that_goes_on_is_refused_at_once() {
    let script = "until [ -e go ]; do sleep 0.05; done";
    let pipeline = format!(
        "name: p\nstages:\n  - name: s\n    steps:\n      - name: a\n        run: shell\n        with: {{ script: '{script}' }}\n"
    );
    let session = Session::new(&pipeline);
    session.run(&["run", "--detach"]).ends_with(0);
    let refused = session.run(&["verify", "last"]).ends_with(6);
    assert!(refused.stderr.contains("which is running"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("waiting at most"), "{}", refused.stderr);
    session.run(&["runs", "cancel", "last"]);
}

#[test]
fn what_was_asked_of_a_run_is_proven_to_stand_in_the_audit_log_and_a_changed_entry_is_named() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    session.run(&["evidence", "export", "last", "--to", "out"]).ends_with(0);
    let found = session.offline_json(&["verify", "--dir", "out"]);
    let entries = found["entries"].as_array().unwrap();
    let asked = (entries.len(), &entries[0]["action"], &entries[0]["actor"]);
    assert_eq!(asked, (1, &"submit".into(), &"local".into()), "{found}");
    let id = entries[0]["id"].as_str().unwrap().to_owned();
    let path = format!("out/audit/{id}.tlog-proof");
    let offline = ["audit", "verify", "--proof", &path, "--key", "out/keys.json"];
    session.offline(&offline).ends_with(0);

    let proof = session.read(&path).unwrap();
    let mut changed = Ticket::parse(&proof).unwrap();
    changed.entry = String::from_utf8(changed.entry).unwrap().replace("local", "mallo").into();
    session.write(&path, &changed.text());
    let refused = session.offline(&["verify", "--dir", "out"]).ends_with(1);
    let words = ["MAE-7098", &format!("audit/{id}.tlog-proof")];
    assert!(words.iter().all(|words| refused.stdout.contains(words)), "{}", refused.stdout);

    // An entry of another run proves nothing of this one.
    session.write(&path, &proof);
    session.run(&["run"]).ends_with(0);
    session.run(&["evidence", "export", "last", "--to", "other"]).ends_with(0);
    let other = std::fs::read_dir(session.path("other/audit")).unwrap().next().unwrap().unwrap();
    std::fs::copy(other.path(), session.path("out/audit").join(other.file_name())).unwrap();
    let refused = session.offline(&["verify", "--dir", "out"]).ends_with(1);
    assert!(refused.stdout.contains("it is about another run"), "{}", refused.stdout);
}

//! What a run left, checked by whoever has nothing but a directory.

use std::path::{Path, PathBuf};

use maestro_evidence::verify::{Question, directory};

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

//! What a person at a terminal sees.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::session::Session;

/// Both steps go on until there is a file, so that they are seen while they run. It lies outside, so
/// they are kept in no sandbox.
fn two(go: &Path) -> String {
    let script = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    format!(
        "
name: two
stages:
  - name: build
    parallel:
      - {{ name: left, run: shell, isolation: plain, with: {{ script: '{script}' }} }}
      - {{ name: right, run: shell, isolation: plain, with: {{ script: '{script}' }} }}
"
    )
}

/// `script` gives the program a terminal; it is part of util-linux. Once it has shown all of
/// `awaited`, `then` is done.
fn at_a_terminal(session: &Session, line: &str, awaited: &[&str], then: impl Fn()) -> String {
    let program = env!("CARGO_BIN_EXE_maestro");
    let path = session.command(&[]).get_current_dir().unwrap().to_owned();
    let mut child = Command::new("script")
        .args(["-qec", &format!("stty cols 60 rows 12; {program} {line}"), "/dev/null"])
        .current_dir(path)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("MAESTRO_SERVER")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    let mut is_done = false;
    loop {
        let count = output.read(&mut part).unwrap();
        if count == 0 {
            break;
        }
        seen.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&seen);
        if !is_done && awaited.iter().all(|wanted| text.contains(wanted)) {
            is_done = true;
            then();
        }
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn the_graph_is_redrawn_in_place_fits_the_window_and_stays() {
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let session = Session::new(&two(&go));
    let running = ["▶ left", "▶ right"];
    let seen = at_a_terminal(&session, "run --local --wait-timeout 60s", &running, || {
        fs::write(&go, "").unwrap()
    });
    assert!(seen.contains("▶ left"), "{seen:?}");
    assert!(seen.contains("✓ left"), "{seen:?}");
    assert!(
        seen.contains("\u{1b}[4F") || seen.contains("\u{1b}[5F"),
        "nothing was drawn over: {seen:?}"
    );
    assert!(!seen.contains("\u{1b}[?1049h"), "the alternate screen was used");
    let last = seen.rsplit("\u{1b}[?2026h").next().unwrap();
    for name in ["two", "build", "✓ left", "✓ right"] {
        assert!(last.contains(name), "{name:?} did not stay: {last:?}");
    }
}

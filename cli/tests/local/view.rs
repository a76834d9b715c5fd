//! What a person at a terminal sees.

use std::process::Stdio;

use crate::session::Session;

const TWO: &str = "
name: two
stages:
  - name: build
    parallel:
      - { name: left, run: shell, with: { script: 'sleep 1' } }
      - { name: right, run: shell, with: { script: 'sleep 1' } }
";

/// `script` gives the program a terminal; it is part of util-linux.
fn at_a_terminal(session: &Session, line: &str) -> String {
    let program = env!("CARGO_BIN_EXE_maestro");
    let mut command = session.command(&[]);
    let path = command.get_current_dir().unwrap().to_owned();
    command = std::process::Command::new("script");
    let output = command
        .args(["-qec", &format!("stty cols 60 rows 12; {program} {line}"), "/dev/null"])
        .current_dir(path)
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .env_remove("MAESTRO_SERVER")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_graph_is_redrawn_in_place_fits_the_window_and_stays() {
    let session = Session::new(TWO);
    let seen = at_a_terminal(&session, "run --local");
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

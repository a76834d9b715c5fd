//! What is not executed again, and that a plan says so before.

use crate::session::Session;

const MATRIX: &str = r#"
name: matrix
inputs:
  list: { type: list, default: [a, b] }
stages:
  - name: s
    steps:
      - name: each
        run: shell
        effect: pure
        for_each: '{{ inputs.list }}'
        with: { script: 'echo "letter={{ item }}" >> "$MAESTRO_OUTPUT"' }
      - name: sum
        run: shell
        effect: pure
        with: { script: 'echo {{ steps.each.outputs | map(attribute="letter") | join("") }}' }
"#;

/// What a plan or a run says of each step, with the arguments.
fn answers(session: &Session, args: &[&str]) -> Vec<(String, String)> {
    let mut words = vec!["plan"];
    words.extend(args);
    let plan = session.json(&words);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    plan["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (text(&step["answer"]), text(&step["why"])))
        .collect()
}

#[test]
fn items_that_have_a_result_are_not_executed_again_and_what_reads_them_neither() {
    let session = Session::new(MATRIX);
    session.run(&["run"]).ends_with(0);
    let cached = answers(&session, &[]);
    assert_eq!(cached[0], ("cached".into(), "all of its 2 items have a result".into()));
    assert_eq!(cached[1].0, "cached");
    session.run(&["run"]).ends_with(0);
    let again = session.json(&["runs", "show", "last"]);
    assert_eq!(again["run"]["steps_cached"], 3, "{again}");

    let more = ["--input", r#"list=["a","b","c"]"#];
    let partly = answers(&session, &more);
    assert_eq!(partly[0], ("runs".into(), "2 of its 3 items have a result".into()));
    assert_eq!(partly[1].0, "depends");
    let mut run = vec!["run"];
    run.extend(more);
    session.run(&run).ends_with(0);
    let third = session.json(&["runs", "show", "last"]);
    assert_eq!(third["run"]["steps_cached"], 2, "{third}");
    let log = session.run(&["logs", "last", "s/sum"]).ends_with(0).stdout;
    assert!(log.ends_with("\nabc\n"), "{log}");
}

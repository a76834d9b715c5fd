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

const CHAIN: &str = r#"
name: chain
inputs:
  flavour: { default: vanilla }
  salt: { default: one }
stages:
  - name: s
    steps:
      - name: make
        run: shell
        effect: pure
        inputs: [src]
        env: { FLAVOUR: '{{ inputs.flavour }}', COLOUR: red }
        with: { script: 'cat src/* >all; echo "n=$(wc -l <all)" >>"$MAESTRO_OUTPUT"', cache_key: '{{ inputs.salt }}' }
        artifacts: { all: all }
      - name: use
        run: shell
        effect: pure
        inputs: [lib]
        with: { script: 'echo {{ steps.make.outputs.n }}' }
        use: [{ from: make, artifact: all }]
      - { name: act, run: shell, with: { script: 'true' } }
"#;

/// What is said of a step of the last run: the answer, why, and the parts that differ.
fn why(session: &Session, step: &str) -> (String, String, Vec<String>) {
    let report = session.json(&["runs", "why-cached", "last", step]);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let parts = report["changed"].as_array().unwrap().iter().map(|part| text(&part["part"]));
    (text(&report["answer"]), text(&report["why"]), parts.collect())
}

#[test]
fn a_run_says_which_input_of_a_step_differs_from_the_latest_result() {
    let session = Session::new(CHAIN);
    session.write("src/a.txt", "1\n");
    session.write("lib/b.txt", "1\n");
    session.run(&["run"]).ends_with(0);
    let miss = |why: &str, parts: &[&str]| {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        ("miss".to_owned(), why.to_owned(), parts)
    };
    assert_eq!(why(&session, "s/make"), miss("it had no result yet", &[]));
    assert_eq!(why(&session, "s/act").0, "not_kept");

    session.run(&["run"]).ends_with(0);
    assert_eq!(why(&session, "s/make").0, "hit");
    assert_eq!(why(&session, "s/use").0, "hit");

    session.write("src/a.txt", "1\n2\n");
    session.run(&["run"]).ends_with(0);
    assert_eq!(why(&session, "s/make"), miss("src/a.txt changed", &["file:src/a.txt"]));
    let both = "the artifact at all and parameter script changed";
    assert_eq!(why(&session, "s/use"), miss(both, &["input:all", "with:script"]));
    let report = session.json(&["runs", "why-cached", "last", "s/use"]);
    assert_eq!(report["changed"][1]["from"], "s/make", "{report}");

    session.write("lib/b.txt", "2\n");
    let other = ["run", "--input", "flavour=secret-nut", "--input", "salt=two"];
    session.run(&other).ends_with(0);
    let both = "variable FLAVOUR and parameter cache_key changed";
    assert_eq!(why(&session, "s/make"), miss(both, &["env:FLAVOUR", "with:cache_key"]));
    assert_eq!(why(&session, "s/use"), miss("lib/b.txt changed", &["file:lib/b.txt"]));
    let shown = session.run(&["runs", "why-cached", "last", "s/make"]).ends_with(0).stdout;
    assert!(shown.contains("variable FLAVOUR") && !shown.contains("nut"), "{shown}");
}

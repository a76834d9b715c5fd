//! What tests said, from the report that a tool wrote to the rows that are listed.

use crate::session::Session;

const PIPELINE: &str = r#"
name: tested
stages:
  - name: test
    parallel:
      - name: unit
        run: shell
        reports: { junit: out/*.xml }
        with: { script: 'mkdir out; cp report.xml out/; grep -q failure report.xml && exit 1 || exit 0' }
      - name: broken
        run: shell
        reports: { junit: [broken.xml] }
        with: { script: 'echo "<testsuite><testcase" >broken.xml' }
"#;

const REPORT: &str = "<testsuites><testsuite name='pytest'>
<testcase classname='tests.test_a' name='test_ok' time='0.5'/>
<testcase classname='tests.test_a' name='test_bad' file='tests/test_a.py' time='0.25'>
<failure message='assert 1 == 2'>E assert 1 == 2</failure></testcase>
</testsuite></testsuites>";

#[test]
fn failing_tests_are_listed_by_name_and_a_broken_report_changes_nothing() {
    let session = Session::new(PIPELINE);
    session.write("report.xml", REPORT);
    session.run(&["run"]).ends_with(3);
    let told = session.json(&["tests", "last", "--failed"]);
    let steps = told["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 2, "{told}");
    assert_eq!(steps[0]["step"], "test/unit");
    assert_eq!(
        (&steps[0]["totals"]["passed"], &steps[0]["totals"]["failed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(steps[0]["totals"]["duration_ms"], 750);
    let warning = steps[1]["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("MAE-7122: broken.xml"), "{warning}");
    let cases = told["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1, "{told}");
    assert_eq!(cases[0]["name"], "test_bad");
    assert_eq!(cases[0]["file"], "tests/test_a.py");
    assert_eq!(session.json(&["tests", "last"])["cases"].as_array().unwrap().len(), 2);

    let shown = session.run(&["runs", "show", "last"]).ends_with(0).stdout;
    assert!(
        shown.contains("failed tests.test_a.test_bad (tests/test_a.py) in test/unit"),
        "{shown}"
    );
    let run = session.json(&["runs", "show", "last"]);
    let state = |id: &str| {
        let steps = run["steps"].as_array().unwrap();
        steps.iter().find(|step| step["id"] == id).unwrap()["state"].clone()
    };
    assert_eq!((state("test/unit"), state("test/broken")), ("failed".into(), "succeeded".into()));
}

const SPLIT: &str = r#"
name: split
stages:
  - name: test
    steps:
      - name: unit
        run: shell
        split: { files: 'tests/*.py', parts: 2 }
        reports: { junit: out.xml }
        with:
          script: |
            { echo '<testsuite>'
              while read -r file; do
                echo "<testcase name='x' file='$file' time='$(cat "$file")'/>"
              done <"$MAESTRO_SPLIT_FILE"
              echo '</testsuite>'; } >out.xml
            echo "files=$(paste -sd, "$MAESTRO_SPLIT_FILE")" >>"$MAESTRO_OUTPUT"
"#;

#[test]
fn files_are_split_by_what_they_took_in_the_runs_before() {
    let session = Session::new(SPLIT);
    for (file, seconds) in [("a", "9.0"), ("b", "1.0"), ("c", "3.0"), ("d", "4.0")] {
        session.write(&format!("tests/{file}.py"), seconds);
    }
    let shares = |session: &Session| {
        let plan = session.json(&["plan"]);
        let items = plan["plan"]["nodes"][0]["for_each"]["items"]["literal"].clone();
        let files = |item: &serde_json::Value| item["files"].to_string().replace("tests/", "");
        items.as_array().unwrap().iter().map(files).collect::<Vec<_>>()
    };
    assert_eq!(shares(&session), [r#"["a.py","c.py"]"#, r#"["b.py","d.py"]"#]);
    session.run(&["run"]).ends_with(0);
    assert_eq!(shares(&session), [r#"["a.py"]"#, r#"["b.py","c.py","d.py"]"#]);
    session.run(&["run"]).ends_with(0);
    let told = session.json(&["tests", "last"]);
    let took = |at: usize| told["steps"][at]["totals"]["duration_ms"].as_u64().unwrap();
    assert_eq!((took(0), took(1)), (9_000, 8_000), "{told}");
}

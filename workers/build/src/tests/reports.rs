//! Steps whose tools write reports.

use maestro_schemas::tested::{TESTS_MEDIA_TYPE, TestOutcome, TestReport};

use super::*;

/// A step that writes this to `out/a.xml` and ends with `code`.
fn writes(bench: &Bench, xml: &str, code: u8) -> Task {
    let mut task = bench.shell(&format!("mkdir out; cat >out/a.xml <<'X'\n{xml}\nX\nexit {code}"));
    task.beside.junit = vec!["out/*.xml".into()];
    task
}

async fn report(bench: &Bench, artifacts: &[Artifact]) -> TestReport {
    let found = artifacts.iter().find(|one| one.media_type == TESTS_MEDIA_TYPE);
    let bytes = bench.store.get(found.expect("a report").digest, 1 << 20).await.expect("bytes");
    serde_json::from_slice(&bytes).expect("a report")
}

const BAD: &str = "<testsuite><testcase name='ok'/><testcase name='bad'><failure message='no'/>\
                   </testcase></testsuite>";

#[tokio::test]
async fn what_tests_said_is_kept_although_the_command_failed() {
    let bench = Bench::new();
    let outcome = bench.carry_out(writes(&bench, BAD, 1)).await;
    let Outcome::Failed { failure, artifacts } = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.exit_code, Some(1));
    let report = report(&bench, &artifacts).await;
    assert_eq!((report.totals.passed, report.totals.failed), (1, 1));
    assert_eq!(report.cases[1].outcome, TestOutcome::Failed);
    assert_eq!(report.cases[1].message.as_deref(), Some("no"));
    assert!(bench.log().await.contains("tests: 1 passed, 1 failed"));
}

#[tokio::test]
async fn a_malformed_report_is_a_warning_and_the_step_ends_as_its_command_did() {
    let bench = Bench::new();
    let outcome = bench.carry_out(writes(&bench, "<testsuite><testcase name='ok'/>", 0)).await;
    let (_, artifacts) = success(outcome);
    let report = report(&bench, &artifacts).await;
    assert_eq!(report.totals.passed, 1);
    assert!(report.warnings[0].starts_with("MAE-7122: out/a.xml"), "{report:?}");
    assert!(bench.log().await.contains("warning: MAE-7122: out/a.xml"));
}

#[tokio::test]
async fn a_step_that_wrote_no_report_says_so() {
    let bench = Bench::new();
    let mut task = bench.shell("ln -s /etc/hostname a.xml; mkfifo b.xml");
    task.beside.junit = vec!["*.xml".into()];
    let (_, artifacts) = success(bench.carry_out(task).await);
    let report = report(&bench, &artifacts).await;
    assert!(report.warnings[0].starts_with("MAE-7120: no report matches *.xml"), "{report:?}");
}

#[tokio::test]
async fn a_step_finds_its_share_of_the_files() {
    use maestro_schemas::beside::Share;
    let bench = Bench::new();
    let script = r#"echo "told=$MAESTRO_SPLIT_INDEX/$MAESTRO_SPLIT_TOTAL: $(paste -sd, "$MAESTRO_SPLIT_FILE")" >>"$MAESTRO_OUTPUT""#;
    let mut task = bench.shell(script);
    let files = vec!["tests/a b.py".to_owned(), "tests/c.py".to_owned()];
    task.beside.share = Some(Share { index: 1, total: 3, files });
    let (outputs, _) = success(bench.carry_out(task).await);
    assert_eq!(outputs["told"], "1/3: tests/a b.py,tests/c.py");
}

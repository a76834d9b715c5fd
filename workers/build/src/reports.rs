//! Reports that a step's tools wrote: found by their globs, read, and kept as one artifact.
//!
//! | module | what it does |
//! |---|---|
//! | `find` | the files of the workspace that globs match |
//! | `junit` | one file of JUnit XML to cases |
//! | `collect` | the cases of all files, within limits |
//!
//! Nothing here changes how the step ended: what cannot be read is a warning.

mod collect;
mod find;
mod junit;

use std::path::Path;

use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::redact::Redactor;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::tested::{TESTS_BYTES_MAX, TESTS_MEDIA_TYPE, TESTS_ROLE, TestReport};

use crate::error::Error;
use collect::Collection;
use find::Found;

/// The most files that are read for a step.
const FILES_MAX: usize = 2_000;

/// Reads the JUnit reports of a workspace in which nothing runs any more.
pub(crate) async fn read(
    workspace: &Path,
    globs: &[String],
    redactor: &Redactor,
) -> Result<TestReport, Error> {
    let (root, globs, redactor) = (workspace.to_owned(), globs.to_owned(), redactor.clone());
    let work = move || {
        let mut collection = Collection::without_secrets(redactor);
        let Found { files, is_cut } = find::matching(&root, &globs, FILES_MAX);
        if files.is_empty() {
            collection.warn(format!(
                "MAE-7120: no report matches {}; the step's tools wrote none, or elsewhere",
                globs.join(", ")
            ));
        }
        for path in &files {
            collection.take(&root, path);
        }
        if is_cut {
            collection.warn(
                "MAE-7121: the workspace has more files, or nests them deeper, than are looked \
                 through; let `reports` begin with the directory that they lie in"
                    .to_owned(),
            );
        }
        if files.len() == FILES_MAX {
            collection.warn(format!("MAE-7121: at most {FILES_MAX} reports are read"));
        }
        collection.finish()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::ShuttingDown)
}

/// Keeps a report as an artifact of the attempt, as much of it as whoever reads it takes.
pub(crate) async fn keep(store: &ArtifactStore, report: TestReport) -> Result<Artifact, Error> {
    let text = within(report, TESTS_BYTES_MAX)?;
    let stored = store.put(text).await.map_err(Error::store("cannot keep the test report"))?;
    Ok(Artifact {
        role: TESTS_ROLE.to_owned(),
        digest: stored.digest,
        size: stored.size,
        media_type: TESTS_MEDIA_TYPE.to_owned(),
    })
}

/// A report as JSON, without its last cases where it had more bytes with them; those that failed stay
/// longest.
fn within(mut report: TestReport, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let json = |report: &TestReport| {
        serde_json::to_vec(report).map_err(|error| Error::Output(error.to_string()))
    };
    loop {
        let text = json(&report)?;
        let over = (text.len() as u64).saturating_sub(bytes_max);
        if over == 0 || report.cases.is_empty() {
            return Ok(text);
        }
        let mut dropped = 0_u64;
        let mut left_out = 0;
        for is_bad in [false, true] {
            let mut kept = Vec::new();
            for case in report.cases.drain(..).rev() {
                if dropped > over || case.outcome.is_bad() != is_bad {
                    kept.push(case);
                    continue;
                }
                let size = serde_json::to_vec(&case).map_or(0, |text| text.len() as u64);
                dropped = dropped.saturating_add(size);
                left_out += 1;
            }
            kept.reverse();
            report.cases = kept;
        }
        report.totals.left_out = report.totals.left_out.saturating_add(left_out);
    }
}

/// A report in a line of the step's log.
pub(crate) fn line(report: &TestReport) -> String {
    let totals = &report.totals;
    let mut line = format!("tests: {} passed, {} failed", totals.passed, totals.failed);
    for (count, word) in [(totals.errors, "errors"), (totals.skipped, "skipped")] {
        if count > 0 {
            line.push_str(&format!(", {count} {word}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::tested::{TestCase, TestOutcome};

    #[test]
    fn of_a_report_that_is_too_large_the_last_cases_that_passed_go_first() {
        let mut report = TestReport::default();
        for number in 0..100 {
            let is_bad = number % 10 == 0;
            let outcome = if is_bad { TestOutcome::Failed } else { TestOutcome::Passed };
            report.totals.count(outcome);
            report.cases.push(TestCase {
                suite: String::new(),
                class: String::new(),
                name: format!("{number:03}"),
                file: None,
                outcome,
                duration_us: None,
                message: Some("\u{1}".repeat(100)),
            });
        }
        let whole = within(report.clone(), TESTS_BYTES_MAX).expect("JSON");
        for bytes_max in [whole.len() as u64 - 1, 40_000, 5_000, 2_000] {
            let text = within(report.clone(), bytes_max).expect("JSON");
            assert!(text.len() as u64 <= bytes_max, "{} of {bytes_max}", text.len());
            let left: TestReport = serde_json::from_slice(&text).expect("a report");
            assert_eq!(left.totals.left_out as usize, 100 - left.cases.len());
            assert_eq!((left.totals.passed, left.totals.failed), (90, 10));
            let bad = left.cases.iter().filter(|case| case.outcome.is_bad()).count();
            assert!(bad == 10 || bad == left.cases.len(), "{left:?}");
            assert!(left.cases.is_sorted_by(|one, next| one.name < next.name));
            assert!(!left.cases.is_empty());
        }
    }
}

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
use maestro_schemas::tested::{TESTS_MEDIA_TYPE, TESTS_ROLE, TestReport};

use crate::error::Error;
use collect::Collection;

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
        let files = find::matching(&root, &globs, FILES_MAX);
        if files.is_empty() {
            collection.warn(format!(
                "MAE-7120: no report matches {}; the step's tools wrote none, or elsewhere",
                globs.join(", ")
            ));
        }
        for path in &files {
            collection.take(&root, path);
        }
        if files.len() == FILES_MAX {
            collection.warn(format!("MAE-7121: at most {FILES_MAX} reports are read"));
        }
        collection.finish()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::ShuttingDown)
}

/// Keeps a report as an artifact of the attempt.
pub(crate) async fn keep(store: &ArtifactStore, report: &TestReport) -> Result<Artifact, Error> {
    let text = serde_json::to_vec(report).map_err(|error| Error::Output(error.to_string()))?;
    let stored = store.put(text).await.map_err(Error::store("cannot keep the test report"))?;
    Ok(Artifact {
        role: TESTS_ROLE.to_owned(),
        digest: stored.digest,
        size: stored.size,
        media_type: TESTS_MEDIA_TYPE.to_owned(),
    })
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

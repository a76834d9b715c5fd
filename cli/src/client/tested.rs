//! `…/runs/{run}/tests`: what tests said.

use maestro_schemas::api::tested::{Durations, TestPage};
use maestro_schemas::id::RunId;

use super::request::escape;
use super::{Client, Error};

/// The most pages that are followed: nothing is listed for ever.
const PAGES_MAX: usize = 10_000;

impl Client {
    /// How long the tests of a pipeline took lately.
    pub async fn test_durations(&self, pipeline: &str) -> Result<Durations, Error> {
        self.get(&self.in_project(&format!("/test-durations?pipeline={}", escape(pipeline)))).await
    }

    /// What the tests of a run said, of those that failed only where `failed`.
    pub async fn tests(&self, run: RunId, failed: bool) -> Result<TestPage, Error> {
        let mut whole = TestPage { steps: Vec::new(), cases: Vec::new(), next: None };
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let more = cursor.as_deref().map(|cursor| format!("&cursor={}", escape(cursor)));
            let query = format!("/tests?failed={failed}{}", more.unwrap_or_default());
            let page: TestPage = self.get(&self.of_run(run, &query)).await?;
            whole.steps.extend(page.steps);
            whole.cases.extend(page.cases);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(whole)
    }
}

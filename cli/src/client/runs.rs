//! `/v1/projects/{project}/runs`: submit, list, show, cancel, rerun, why, steps, attempts.

use maestro_schemas::api::cached::CacheReport;
use maestro_schemas::api::runs::{
    CancelRequest, RerunRequest, RunDetail, RunPage, SubmitResponse, WhyReport,
};
use maestro_schemas::api::steps::{AttemptPage, AttemptView, StepPage, StepView};
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use maestro_schemas::submit::SubmitRequest;
use reqwest::Method;

use super::request::escape;
use super::{Client, Error};

/// The most pages of one listing that are followed: nothing is listed for ever.
const PAGES_MAX: usize = 10_000;
/// How often a submission that nobody answered is sent, under its one key.
const TRIES: u32 = 4;

/// What a list of runs is narrowed by.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// A run's state.
    pub state: Option<String>,
    /// A pipeline's name.
    pub pipeline: Option<String>,
    /// Labels that a run must have, as `k=v`.
    pub labels: Vec<String>,
    /// The most runs of one page.
    pub limit: u32,
    /// The former page's `next`.
    pub cursor: Option<String>,
}

impl RunFilter {
    fn query(&self) -> String {
        let mut parts = vec![format!("limit={}", self.limit)];
        let named =
            [("state", &self.state), ("pipeline", &self.pipeline), ("cursor", &self.cursor)];
        for (name, value) in named {
            parts.extend(value.iter().map(|value| format!("{name}={}", escape(value))));
        }
        parts.extend(self.labels.iter().map(|label| format!("label={}", escape(label))));
        parts.join("&")
    }
}

impl Client {
    /// Submits a run. The request needs an idempotency key: an unanswered one is sent again.
    pub async fn submit(&self, body: &SubmitRequest) -> Result<SubmitResponse, Error> {
        let key = body.idempotency_key.clone().unwrap_or_default();
        let path = self.in_project("/runs");
        self.patiently(async || {
            let request = self.request(Method::POST, &path).json(body);
            self.document(request.header("idempotency-key", &key)).await
        })
        .await
    }

    /// A page of runs, the youngest first.
    pub async fn runs(&self, filter: &RunFilter) -> Result<RunPage, Error> {
        self.get(&self.in_project(&format!("/runs?{}", filter.query()))).await
    }

    /// A run.
    pub async fn run(&self, run: RunId) -> Result<RunDetail, Error> {
        self.get(&self.of_run(run, "")).await
    }

    /// Asks for a run to be cancelled; it ends once its live attempts have.
    pub async fn cancel(&self, run: RunId, reason: &str) -> Result<(), Error> {
        let body = CancelRequest { reason: reason.to_owned() };
        let request = self.request(Method::POST, &self.of_run(run, "/cancel")).json(&body);
        self.send(request).await.map(drop)
    }

    /// Begins a run that repeats another in part.
    pub async fn rerun(&self, run: RunId, body: &RerunRequest) -> Result<SubmitResponse, Error> {
        let path = self.of_run(run, "/rerun");
        self.patiently(async || self.post(&path, body).await).await
    }

    /// Why each waiting step of a run waits.
    pub async fn why(&self, run: RunId) -> Result<WhyReport, Error> {
        self.get(&self.of_run(run, "/why")).await
    }

    /// Whether a step's result was known, and what differs from the latest one before where not.
    pub async fn why_cached(&self, run: RunId, step: StepAddress) -> Result<CacheReport, Error> {
        self.get(&self.of_run(run, &format!("/steps/{step}/why-cached"))).await
    }

    /// All steps of a run, in the plan's order.
    pub async fn steps(&self, run: RunId) -> Result<Vec<StepView>, Error> {
        let mut steps = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page: StepPage =
                self.get(&self.page_of_run(run, "/steps", cursor.as_deref())).await?;
            steps.extend(page.steps);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(steps)
    }

    /// All attempts of a run that have ended.
    pub async fn attempts(&self, run: RunId) -> Result<Vec<AttemptView>, Error> {
        let mut attempts = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let page: AttemptPage =
                self.get(&self.page_of_run(run, "/attempts", cursor.as_deref())).await?;
            attempts.extend(page.attempts);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        Ok(attempts)
    }

    /// A path below a run.
    pub(super) fn of_run(&self, run: RunId, rest: &str) -> String {
        self.in_project(&format!("/runs/{run}{rest}"))
    }

    fn page_of_run(&self, run: RunId, rest: &str, cursor: Option<&str>) -> String {
        let query = cursor.map(|cursor| format!("?cursor={}", escape(cursor))).unwrap_or_default();
        self.of_run(run, &format!("{rest}{query}"))
    }

    /// Asks again, a few times, where the answer may have been lost on its way.
    async fn patiently<T>(&self, ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
        let mut tried = 1;
        loop {
            match ask().await {
                Err(error) if error.is_passing() && tried < TRIES && !self.is_nobody(&error) => {
                    tokio::time::sleep(std::time::Duration::from_millis(250 << tried)).await;
                    tried += 1;
                }
                answer => return answer,
            }
        }
    }

    /// Whether nobody listens on this very machine: trying again helps nobody.
    fn is_nobody(&self, error: &Error) -> bool {
        matches!(error, Error::Unreachable { .. }) && self.address().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_query() {
        let filter = RunFilter {
            state: Some("failed".into()),
            labels: vec!["branch=a b".into(), "x=1".into()],
            limit: 20,
            ..RunFilter::default()
        };
        assert_eq!(filter.query(), "limit=20&state=failed&label=branch%3Da%20b&label=x%3D1");
    }
}

//! `/route/choose`, `/route/scores` and `…/route/decisions`: which model a prompt goes to, and why.

use maestro_schemas::api::route::{DecisionPage, DecisionRecord, Learnt, Scores};
use maestro_schemas::id::DecisionId;
use maestro_schemas::route::{RouteDecision, RouteRequest};
use reqwest::Method;

use super::request::escape;
use super::{Client, Error};

impl Client {
    /// Which model a prompt goes to.
    pub async fn choose(&self, request: &RouteRequest) -> Result<RouteDecision, Error> {
        let asked = self.request(Method::POST, "/route/choose").json(request);
        self.document(asked.header("x-maestro-project", self.project().as_str())).await
    }

    /// Tells how good answers were.
    pub async fn score(&self, scores: &Scores) -> Result<Learnt, Error> {
        let told = self.request(Method::POST, "/route/scores").json(scores);
        self.document(told.header("x-maestro-project", self.project().as_str())).await
    }

    /// A page of decisions since a time in milliseconds since 1970, the youngest first.
    pub async fn decisions(
        &self,
        since_ms: u64,
        limit: u64,
        cursor: Option<&str>,
    ) -> Result<DecisionPage, Error> {
        let cursor = cursor.map(|cursor| format!("&cursor={}", escape(cursor))).unwrap_or_default();
        let query = format!("?since_ms={since_ms}&limit={limit}{cursor}");
        self.get(&self.in_project(&format!("/route/decisions{query}"))).await
    }

    /// A decision with all that it was made from.
    pub async fn decision(&self, id: DecisionId) -> Result<DecisionRecord, Error> {
        self.get(&self.in_project(&format!("/route/decisions/{id}"))).await
    }
}

//! `/route/choose` and `…/route/decisions`: which model a prompt goes to, and why.

use maestro_schemas::api::route::DecisionRecord;
use maestro_schemas::id::DecisionId;
use maestro_schemas::route::{RouteDecision, RouteRequest};
use reqwest::Method;

use super::{Client, Error};

impl Client {
    /// Which model a prompt goes to.
    pub async fn choose(&self, request: &RouteRequest) -> Result<RouteDecision, Error> {
        let asked = self.request(Method::POST, "/route/choose").json(request);
        self.document(asked.header("x-maestro-project", self.project().as_str())).await
    }

    /// A decision with all that it was made from.
    pub async fn decision(&self, id: DecisionId) -> Result<DecisionRecord, Error> {
        self.get(&self.in_project(&format!("/route/decisions/{id}"))).await
    }
}

//! `/v1/projects/{project}/plans` and `/v1/actions`.

use maestro_schemas::api::plans::{Catalogue, PlanStored};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Plan;

use super::{Client, Error};

impl Client {
    /// Stores a plan, and learns what a run of it would do now.
    pub async fn store_plan(&self, plan: &Plan) -> Result<PlanStored, Error> {
        self.post(&self.in_project("/plans"), plan).await
    }

    /// A stored plan.
    pub async fn plan(&self, digest: Digest) -> Result<Plan, Error> {
        self.get(&self.in_project(&format!("/plans/{digest}"))).await
    }

    /// The actions that workers serve or have served.
    pub async fn actions(&self) -> Result<Catalogue, Error> {
        self.get("/v1/actions").await
    }
}

//! `/v1/projects/{project}/runs/{run}/artifacts`.

use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::id::RunId;

use super::{Client, Error};

impl Client {
    /// What the steps of a run made.
    pub async fn artifacts(&self, run: RunId) -> Result<ArtifactList, Error> {
        self.get(&self.of_run(run, "/artifacts")).await
    }
}

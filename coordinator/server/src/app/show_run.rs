//! Shows one run as a whole.

use maestro_schemas::api::artifacts::{ArtifactList, StepArtifact};
use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::list_steps::step_name;
use super::{App, Error};
use crate::store::{self, attempt, plan, run};

impl App {
    /// The run, with the inputs of its plan.
    pub async fn show_run(&self, project: &ProjectName, run: RunId) -> Result<RunDetail, Error> {
        let details = run::details(&self.pool, project, run).await?;
        let details = details.ok_or_else(|| Error::not_found("run", run))?;
        let plan = match plan::load(&self.pool, project, details.summary.plan).await {
            // Perhaps the very reason why the run was set aside, which is what is to be seen.
            Err(store::Error::Unreadable { .. }) => None,
            plan => plan?,
        };
        Ok(RunDetail {
            inputs: plan.map(|plan| plan.inputs.clone()).unwrap_or_default(),
            outputs: details.outputs,
            batch: details.batch,
            summary: details.summary,
        })
    }

    /// What the steps of a run made, one for each artifact of an attempt that counts.
    pub async fn list_artifacts(
        &self,
        project: &ProjectName,
        run: RunId,
    ) -> Result<ArtifactList, Error> {
        let (_, plan) = self.head_and_plan(project, run).await?;
        let made = attempt::artifacts(&self.pool, run).await?;
        let artifacts = made
            .into_iter()
            .filter_map(|(step, artifacts)| Some((step_name(&plan, step)?, artifacts)))
            .flat_map(|(step, artifacts)| {
                artifacts
                    .into_iter()
                    .map(move |artifact| StepArtifact { step: step.clone(), artifact })
            });
        Ok(ArtifactList { artifacts: artifacts.collect() })
    }
}

//! What comes with an outcome, however it ended: what the step's tests said, what it was kept in.

use maestro_schemas::artifact::Artifact;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::{Applied, SANDBOX_ROLE};

use super::Attempt;
use crate::environment::Places;
use crate::reports;

impl Attempt<'_> {
    /// The outcome with what the step's tests said, also where its command failed; that this cannot be
    /// read changes nothing of how it ended.
    pub(super) async fn with_tests(&self, mut outcome: Outcome) -> Outcome {
        let globs = &self.execution.task.beside.junit;
        let artifacts = match &mut outcome {
            Outcome::Succeeded { artifacts, .. } | Outcome::Failed { artifacts, .. } => artifacts,
            Outcome::Cancelled { .. } => return outcome,
        };
        if globs.is_empty() || self.execution.stop.is_cancelled() {
            return outcome;
        }
        let Ok(scratch) = self.execution.scratch.path().await else { return outcome };
        let (workspace, redactor) = (&Places::below(&scratch).workspace, &self.execution.redactor);
        let read = self.unless_stopped(async {
            let report = reports::read(workspace, globs, redactor).await?;
            for warning in &report.warnings {
                self.execution.log.line(&format!("warning: {warning}")).await;
            }
            self.execution.log.line(&reports::line(&report)).await;
            reports::keep(&self.execution.store, report).await
        });
        match read.await {
            Ok(artifact) => artifacts.push(artifact),
            Err(error) => tracing::warn!(%error, "what a step's tests said is not kept"),
        }
        outcome
    }

    /// The outcome with what the execution was kept in; that this cannot be stored changes nothing
    /// of how it ended.
    pub(super) async fn with_sandbox(&self, mut outcome: Outcome, applied: &Applied) -> Outcome {
        let Ok(text) = serde_json::to_vec(applied) else { return outcome };
        match self.execution.store.put(text).await {
            Ok(stored) => {
                let artifact = Artifact {
                    role: SANDBOX_ROLE.to_owned(),
                    digest: stored.digest,
                    size: stored.size,
                    media_type: "application/json".to_owned(),
                };
                match &mut outcome {
                    Outcome::Succeeded { artifacts, .. }
                    | Outcome::Failed { artifacts, .. }
                    | Outcome::Cancelled { artifacts } => artifacts.push(artifact),
                }
            }
            Err(error) => tracing::warn!(%error, "what an execution was kept in is not kept"),
        }
        outcome
    }
}

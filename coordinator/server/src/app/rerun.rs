//! Makes a new run of one that has ended, which refers to its finished steps.

use std::collections::BTreeSet;

use maestro_schemas::api::runs::{RerunRequest, SubmitResponse};
use maestro_schemas::command::Rerun;
use maestro_schemas::id::RunId;

use super::submit_run::Wanted;
use super::{App, Asker, Error};
use crate::store::{plan, run, step, submission};

/// The most steps that a rerun names.
pub const FROM_MAX: usize = 5_000;

impl App {
    /// Submits the rerun. Without `from` and `failed` every step is executed again.
    pub async fn rerun(
        &self,
        asker: &Asker,
        of: RunId,
        request: RerunRequest,
    ) -> Result<SubmitResponse, Error> {
        request.from.iter().try_for_each(|step| super::check_text("from", step))?;
        let head = run::head(&self.pool, &asker.project, of).await?;
        let head = head.ok_or_else(|| Error::not_found("run", of))?;
        let plan = request.plan.unwrap_or(head.plan);
        let mut from: BTreeSet<String> = request.from.into_iter().collect();
        if request.failed {
            from.extend(self.failed_steps(asker, head).await?);
        } else if from.is_empty() {
            from = self.first_steps(asker, plan).await?;
        }
        if from.len() > FROM_MAX {
            let message = format!("found {} steps, at most {FROM_MAX} can be named", from.len());
            return Err(Error::invalid("from", message));
        }
        let before = submission::of_run(&self.pool, &asker.project, of).await?;
        let labels = before.map(|row| row.labels).unwrap_or_default();
        let rerun = Some(Rerun { of, from: from.into_iter().collect() });
        let idempotency_key = request.idempotency_key;
        self.begin_run(asker, Wanted { plan, labels, rerun, idempotency_key }).await
    }

    async fn failed_steps(&self, asker: &Asker, head: run::Head) -> Result<Vec<String>, Error> {
        let plan = plan::load(&self.pool, &asker.project, head.plan).await?;
        let plan = plan.ok_or_else(|| Error::not_found("plan", head.plan))?;
        let steps = step::failed(&self.pool, head.id, FROM_MAX).await?;
        Ok(steps.into_iter().filter_map(|step| super::list_steps::step_name(&plan, step)).collect())
    }

    async fn first_steps(
        &self,
        asker: &Asker,
        digest: maestro_schemas::digest::Digest,
    ) -> Result<BTreeSet<String>, Error> {
        let plan = plan::load(&self.pool, &asker.project, digest).await?;
        let plan = plan.ok_or_else(|| Error::not_found("plan", digest))?;
        let first = plan.nodes.iter().filter(|node| node.needs.is_empty());
        Ok(first.map(|node| node.id.clone()).collect())
    }
}

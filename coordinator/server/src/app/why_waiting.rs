//! Asks the owner of a run why its steps wait.

use maestro_schemas::api::runs::WhyReport;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::run;

impl App {
    /// One reason for each waiting step; none for a run that has ended.
    pub async fn why_waiting(&self, project: &ProjectName, run: RunId) -> Result<WhyReport, Error> {
        let head = run::head(&self.pool, project, run).await?;
        let head = head.ok_or_else(|| Error::not_found("run", run))?;
        if head.state.is_final() {
            return Ok(WhyReport { waiting: Vec::new() });
        }
        match self.bus.why(run).await {
            Some(report) => Ok(report),
            None => Err(Error::Unavailable(
                "no coordinator that owns the run answers now; try again in a few seconds",
            )),
        }
    }
}

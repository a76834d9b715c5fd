//! Shows what the router decided, and from what.

use maestro_schemas::api::route::DecisionRecord;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::route_decision;

impl App {
    /// A decision of the project. One of this very moment may not be written down yet.
    pub async fn show_decision(
        &self,
        project: &ProjectName,
        id: DecisionId,
    ) -> Result<DecisionRecord, Error> {
        let found = route_decision::find(&self.pool, project, id).await?;
        found.ok_or_else(|| Error::NotFound { what: "decision", name: id.to_string() })
    }
}

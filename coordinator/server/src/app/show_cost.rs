//! Sums up what calls of models cost a project.

use maestro_schemas::api::cost::{By, CostReport};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::model_call::{self, Filter};

/// The most rows of a report.
pub const ROWS_MAX: u16 = 1_000;

/// What is asked for, as texts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// What a row is about.
    pub by: Option<String>,
    /// Only of this run.
    pub run: Option<String>,
    /// From this time on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before this time.
    pub until_ms: Option<u64>,
    /// The most rows.
    pub limit: Option<u16>,
}

impl App {
    /// The report.
    pub async fn show_cost(
        &self,
        project: &ProjectName,
        query: Query,
    ) -> Result<CostReport, Error> {
        let filter = filter(query)?;
        let rows = model_call::sums(&self.pool, project, &filter).await?;
        Ok(CostReport { by: filter.by, rows })
    }
}

fn filter(query: Query) -> Result<Filter, Error> {
    let words = || By::ALL.map(By::as_str).join(", ");
    let by = query.by.map(|text| {
        By::parse(&text).ok_or_else(|| Error::invalid("by", format!("expected one of {}", words())))
    });
    let run = query.run.map(|text| {
        text.parse::<RunId>().map_err(|error| Error::invalid("run", error.to_string()))
    });
    Ok(Filter {
        by: by.transpose()?.unwrap_or_default(),
        run: run.transpose()?,
        since_ms: query.since_ms.unwrap_or(0),
        until_ms: query.until_ms.unwrap_or(u64::MAX),
        rows_max: query.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX),
    })
}

//! Sums up what calls of models cost a project.

use maestro_schemas::api::cost::{By, CostReport};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::model_call::{self, Filter};

/// The most rows of a report.
pub const ROWS_MAX: u16 = 1_000;

/// How far back calls are summed up where nobody says, in milliseconds: 30 days.
const SINCE_DEFAULT_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// What is asked for, as texts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// What a row is about.
    pub by: Option<String>,
    /// Only of this run.
    pub run: Option<String>,
    /// From this time on, in milliseconds since 1970; the last 30 days where it is absent, and all of
    /// a run where one is named.
    pub since_ms: Option<u64>,
    /// Before this time.
    pub until_ms: Option<u64>,
    /// The most rows.
    pub limit: Option<u16>,
}

impl App {
    /// The report, as of `now_ms`.
    pub async fn show_cost(
        &self,
        project: &ProjectName,
        query: Query,
        now_ms: u64,
    ) -> Result<CostReport, Error> {
        let filter = filter(query, now_ms)?;
        let rows = model_call::sums(&self.pool, project, &filter).await?;
        Ok(CostReport { by: filter.by, since_ms: filter.since_ms, rows })
    }
}

fn filter(query: Query, now_ms: u64) -> Result<Filter, Error> {
    let words = || By::ALL.map(By::as_str).join(", ");
    let by = query.by.map(|text| {
        By::parse(&text).ok_or_else(|| Error::invalid("by", format!("expected one of {}", words())))
    });
    let run = query.run.map(|text| {
        text.parse::<RunId>().map_err(|error| Error::invalid("run", error.to_string()))
    });
    let run = run.transpose()?;
    let until_ms = query.until_ms.unwrap_or(u64::MAX);
    // A run's calls are few, and found by their run.
    let since_ms = match run {
        Some(_) => 0,
        None => until_ms.min(now_ms).saturating_sub(SINCE_DEFAULT_MS),
    };
    Ok(Filter {
        by: by.transpose()?.unwrap_or_default(),
        run,
        since_ms: query.since_ms.unwrap_or(since_ms),
        until_ms,
        rows_max: query.limit.unwrap_or(ROWS_MAX).clamp(1, ROWS_MAX),
    })
}

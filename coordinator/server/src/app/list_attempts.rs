//! Lists the attempts of a run that have ended, the first to be decided first.

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::AttemptRow;
use maestro_schemas::api::steps::{AttemptPage, AttemptView};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::list_steps::step_name;
use super::{App, Error};
use crate::store::attempt::{self, Place};

/// The attempts of a page.
pub const PAGE: u16 = 1_000;

impl App {
    /// A page of attempts; `cursor` is what the page before gave.
    pub async fn list_attempts(
        &self,
        project: &ProjectName,
        run: RunId,
        cursor: Option<&str>,
    ) -> Result<AttemptPage, Error> {
        let after = cursor.map(parse).transpose()?;
        let (_, plan) = self.head_and_plan(project, run).await?;
        let mut rows = attempt::page(&self.pool, run, after, PAGE + 1).await?;
        let is_last = rows.len() <= usize::from(PAGE);
        rows.truncate(usize::from(PAGE));
        let next = rows
            .last()
            .filter(|_| !is_last)
            .map(|row| format!("{}.{}.{}", row.decided_at_ms, row.step, row.token.number));
        Ok(AttemptPage { attempts: rows.into_iter().map(|row| view(&plan, row)).collect(), next })
    }
}

fn parse(cursor: &str) -> Result<Place, Error> {
    let mut parts = cursor.split('.');
    let place = (|| {
        Some(Place {
            decided_at_ms: parts.next()?.parse().ok()?,
            step: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        })
    })();
    place.ok_or_else(|| Error::invalid("cursor", "expected what the page before gave as `next`"))
}

fn view(plan: &CheckedPlan, row: AttemptRow) -> AttemptView {
    AttemptView {
        step: step_name(plan, row.step).unwrap_or_else(|| row.step.to_string()),
        address: row.step,
        number: row.token.number,
        outcome: row.outcome.as_str().to_owned(),
        worker: row.worker,
        decided_at_ms: row.decided_at_ms,
        ended_at_ms: row.ended_at_ms,
        wall_ms: row.usage.wall_ms,
        failure: row.failure,
        artifacts: row.artifacts,
    }
}

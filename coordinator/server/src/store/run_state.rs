//! Where a run stands, by its row alone.

use maestro_schemas::id::RunId;
use maestro_schemas::step::RunState;
use sqlx::PgExecutor;

use super::Error;
use super::number::unsigned;

/// The shard that owns a run, and the run's state; absent where there is none.
pub async fn place(db: impl PgExecutor<'_>, run: RunId) -> Result<Option<(u16, RunState)>, Error> {
    let found: Option<(i32, String)> = sqlx::query_as("select shard, state from run where id = $1")
        .bind(run.uuid())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read a run's state"))?;
    let Some((shard, text)) = found else { return Ok(None) };
    let state = RunState::parse(&text);
    let state = state.ok_or(Error::Unreadable { what: "run.state", found: text })?;
    Ok(Some((unsigned("run.shard", shard)?, state)))
}

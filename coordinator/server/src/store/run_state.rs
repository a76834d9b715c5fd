//! Where a run stands, by its row alone.

use maestro_schemas::id::RunId;
use maestro_schemas::step::RunState;
use sqlx::PgExecutor;

use super::Error;

/// The state of a run; absent where there is none, or it is another shard's.
pub async fn state(
    db: impl PgExecutor<'_>,
    shard: u16,
    run: RunId,
) -> Result<Option<RunState>, Error> {
    let found: Option<String> =
        sqlx::query_scalar("select state from run where id = $1 and shard = $2")
            .bind(run.uuid())
            .bind(i32::from(shard))
            .fetch_optional(db)
            .await
            .map_err(Error::doing("read a run's state"))?;
    found
        .map(|text| {
            RunState::parse(&text).ok_or(Error::Unreadable { what: "run.state", found: text })
        })
        .transpose()
}

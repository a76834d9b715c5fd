//! Probes of endpoints that fail, one per interval from all routers together.

use std::time::Duration;

use sqlx::PgExecutor;

use super::Error;

/// Takes the probe of an endpoint, unless somebody has within the interval.
pub async fn take(
    db: impl PgExecutor<'_>,
    endpoint: &str,
    interval: Duration,
) -> Result<bool, Error> {
    let taken: Option<bool> = sqlx::query_scalar(
        "insert into probe as former (endpoint, taken_at) values ($1, now())
         on conflict (endpoint) do update set taken_at = now()
          where former.taken_at <= now() - $2 * interval '1 millisecond'
         returning true",
    )
    .bind(endpoint)
    .bind(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("take a probe"))?;
    Ok(taken.is_some())
}

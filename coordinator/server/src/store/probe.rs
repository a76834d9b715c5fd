//! Probes of endpoints that fail, one per interval from all routers together.

use std::time::Duration;

use sqlx::PgExecutor;

use super::Error;

/// Takes the probe of an endpoint, unless somebody has within the interval; answers then how long it is
/// until the next one is due.
pub async fn take(
    db: impl PgExecutor<'_>,
    endpoint: &str,
    interval: Duration,
) -> Result<Option<Duration>, Error> {
    let (is_taken, wait_ms): (bool, i64) = sqlx::query_as(
        "with due as (
           select $2 - floor(extract(epoch from now() - taken_at) * 1000)::bigint as wait
             from probe where endpoint = $1),
         taken as (
           insert into probe as former (endpoint, taken_at) values ($1, now())
           on conflict (endpoint) do update set taken_at = now()
            where former.taken_at <= now() - $2 * interval '1 millisecond'
           returning true)
         select exists (select from taken), coalesce((select wait from due), $2)",
    )
    .bind(endpoint)
    .bind(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX))
    .fetch_one(db)
    .await
    .map_err(Error::doing("take a probe"))?;
    let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0).max(1));
    Ok((!is_taken).then_some(wait.min(interval)))
}

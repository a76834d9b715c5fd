//! Lets rows go that are only looked back at, once they are old: what the router decided, and what calls
//! of models took, and which secrets were given out, which is kept for as long as calls. It revokes
//! versions of secrets that were replaced and whose time is over.
//!
//! It deletes the oldest first, a page a statement, so that nobody waits for it long. Several coordinators
//! may do so at once: each passes over rows that another one deletes just now.
//!
//! What must stay true: a call's row stays for as long as anything may still be said of it, which
//! [`CALLS_MIN`] is above. Runs, their steps and what those cost stay whatever is deleted here.

use std::time::Duration;

use maestro_telemetry::event::{RetentionFailed, RowsExpired};
use maestro_telemetry::metrics::Metrics;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::{self, model_call, route_decision, secret, secret_delivery};

/// How often rows are looked at.
pub const PERIOD: Duration = Duration::from_secs(3_600);

/// How long after a coordinator's start that is first done.
pub const FIRST_AFTER: Duration = Duration::from_secs(90);

/// The shortest that decisions are kept: somebody may want to look at the last one.
pub const DECISIONS_MIN: Duration = Duration::from_secs(3_600);

/// The shortest that calls are kept: a gateway may tell for three days what one cost.
pub const CALLS_MIN: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The most rows of a statement.
pub const PAGE: u16 = 1_000;

/// The most pages of each table at once; the next time goes on.
const PAGES_MAX: u32 = 5_000;

/// How long rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Decisions of the router, at least [`DECISIONS_MIN`].
    pub decisions: Duration,
    /// Calls of models, at least [`CALLS_MIN`].
    pub calls: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
        Self { decisions: days(30), calls: days(400) }
    }
}

/// Deletes every [`PERIOD`] until `stop`.
pub async fn run(pool: PgPool, keep: Keep, metrics: Metrics, stop: CancellationToken) {
    let first = tokio::time::Instant::now() + FIRST_AFTER;
    let mut ticks = tokio::time::interval_at(first, PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match expire(&pool, keep, &stop).await {
            Ok(expired) => expired.tell(&metrics),
            Err(error) => RetentionFailed(&error).tell(&metrics),
        }
    }
}

/// Deletes what is older than it is kept, until nothing is, the pages are used up or it is to stop.
///
/// # Errors
/// Where the database fails; pages before that stay deleted.
pub async fn expire(
    pool: &PgPool,
    keep: Keep,
    stop: &CancellationToken,
) -> Result<RowsExpired, store::Error> {
    let (decisions, calls) = (keep.decisions.max(DECISIONS_MIN), keep.calls.max(CALLS_MIN));
    let of_decisions = pages(stop, || route_decision::expire(pool, decisions, PAGE)).await?;
    let of_calls = pages(stop, || model_call::expire(pool, calls, PAGE)).await?;
    pages(stop, || secret::expire(pool, PAGE)).await?;
    pages(stop, || secret_delivery::expire(pool, calls, PAGE)).await?;
    let more = of_decisions.more || of_calls.more;
    Ok(RowsExpired { decisions: of_decisions.rows, calls: of_calls.rows, more })
}

/// What was deleted of a table, and whether there is more.
struct Pages {
    rows: u64,
    more: bool,
}

async fn pages<F>(stop: &CancellationToken, page: impl Fn() -> F) -> Result<Pages, store::Error>
where
    F: Future<Output = Result<u64, store::Error>>,
{
    let mut pages = Pages { rows: 0, more: true };
    for _ in 0..PAGES_MAX {
        if !pages.more || stop.is_cancelled() {
            break;
        }
        let rows = page().await?;
        pages.rows += rows;
        pages.more = rows >= u64::from(PAGE);
    }
    Ok(pages)
}

//! Settles calls of models by what gateways tell of them.
//!
//! A gateway may be faster than the row of its call, so what it tells is kept, and tried until the row is
//! there or nobody expects it any more.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::settlement;

/// How often it is tried.
const PERIOD: Duration = Duration::from_secs(2);

/// How long a call's row may take: no attempt takes longer.
const EXPECTED: Duration = Duration::from_secs(3 * 24 * 3_600);

/// Settles until `stop`.
pub async fn run(pool: PgPool, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match settlement::apply(&pool, EXPECTED).await {
            Ok(0) => {}
            Ok(settled) => tracing::info!(event = "calls_settled", settled, "by their gateway"),
            Err(error) => tracing::warn!(%error, "calls cannot be settled now"),
        }
    }
}

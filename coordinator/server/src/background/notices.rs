//! Tells what others act on until it is confirmed: at least once, in no order.

use std::time::Duration;

use maestro_schemas::codec;
use maestro_schemas::event::{Event, EventBatch};
use maestro_streams::publish::Publisher;
use maestro_streams::topology::subject;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::{self, notice};

/// How often rows are looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// How many are told at once.
const AT_ONCE_MAX: u16 = 200;

/// Tells notices until `stop`.
pub async fn run(pool: PgPool, publisher: Publisher, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = tell(&pool, &publisher).await {
            tracing::warn!(%error, "notices cannot be told now");
        }
    }
}

async fn tell(pool: &PgPool, publisher: &Publisher) -> Result<(), store::Error> {
    let pending = notice::pending(pool, AT_ONCE_MAX).await?;
    if pending.is_empty() {
        return Ok(());
    }
    let mut told = Vec::new();
    let mut messages = Vec::new();
    for notice in pending {
        let event: Option<Event> = serde_json::from_value(notice.body).ok();
        let batch =
            event.map(|event| EventBatch { project: notice.project.clone(), entries: vec![event] });
        match batch.and_then(|batch| codec::encode(&batch).ok()) {
            Some(bytes) => {
                messages.push((notice.id, subject::event(&notice.project), bytes.into()))
            }
            None => {
                tracing::error!(id = notice.id, "a notice cannot be read; it is dropped");
                told.push(notice.id);
            }
        }
    }
    let results = publisher.publish_all(messages).await;
    told.extend(results.into_iter().filter(|(_, result)| result.is_there()).map(|(id, _)| id));
    notice::confirm(pool, &told).await
}

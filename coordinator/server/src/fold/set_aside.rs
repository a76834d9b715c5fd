//! Runs of a shard that was just taken whose rows cannot be read: they are quarantined, so that
//! people see why they stand still, and what they have on the bus is taken off.

use maestro_schemas::codec;
use maestro_schemas::control::Cancel;
use maestro_schemas::event::EventBatch;
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_streams::connect::Connection;
use maestro_streams::topology::subject;
use maestro_streams::{Subject, admin};
use sqlx::PgConnection;

use crate::clock::now_ms;
use crate::store::load::Unreadable;
use crate::store::set_aside::set_aside;
use crate::store::shard::Acquired;

/// Sets them aside and answers the shard's last batch.
///
/// Where that fails the shard is taken all the same, for the sake of the others: they stand still
/// until it is taken anew. Had it landed nevertheless, the owner's first commit is refused, and
/// the shard taken anew at once.
pub(super) async fn quarantine(
    conn: &mut PgConnection,
    bus: &Connection,
    (shard, acquired): (u16, Acquired),
    runs: Vec<Unreadable>,
) -> u64 {
    if runs.is_empty() {
        return acquired.batch;
    }
    for Unreadable { run, reason, .. } in &runs {
        tracing::error!(%run, reason, "a run's rows cannot be read; it is set aside");
    }
    let done = match set_aside(conn, (shard, acquired), now_ms(), &runs).await {
        Ok(done) => done,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, shard, "runs that cannot be read stand still");
            return acquired.batch;
        }
    };
    for (run, event) in runs.iter().zip(done.events) {
        if let Ok(project) = run.project.parse() {
            let told = EventBatch { project, entries: vec![event] };
            tell(bus, subject::event(&told.project), &told).await;
        }
    }
    let bus = bus.clone();
    tokio::spawn(async move { withdraw(&bus, done.pools).await });
    done.batch
}

/// Nothing waits for this: a report of a task that slips through finds no live attempt.
async fn withdraw(bus: &Connection, pools: Vec<(RunId, PoolName)>) {
    for (run, pool) in pools {
        if let Err(error) = admin::purge_run(bus, &pool, run).await {
            tracing::warn!(%error, %pool, %run, "tasks could not be taken off the bus");
        }
        tell(bus, subject::control_cancel(&pool), &Cancel { run, attempt: None }).await;
    }
}

async fn tell<T: serde::Serialize>(bus: &Connection, subject: Subject, message: &T) {
    if let Ok(bytes) = codec::encode(message) {
        bus.tell(subject, bytes.into()).await;
    }
}

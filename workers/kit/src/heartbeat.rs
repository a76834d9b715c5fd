//! What a worker says of itself: on connect, when something changed, and periodically.
//!
//! A change is told after [`COALESCE`], and only of executions that lasted that long: a pool of
//! short tasks would else speak of nothing but itself.

use std::sync::Arc;
use std::time::Duration;

use maestro_schemas::action::ActionInfo;
use maestro_schemas::codec;
use maestro_schemas::heartbeat::{Heartbeat, PERIOD_MS};
use maestro_schemas::id::ExecutionId;
use maestro_streams::topology::subject;
use tokio::time::{Instant, MissedTickBehavior};

use crate::session::Pool;

const COALESCE: Duration = Duration::from_millis(100);
/// How often the catalogue is told again: a coordinator that began to listen later learns it soon.
const ACTIONS_PERIOD: Duration = Duration::from_secs(5);

/// Speaks until it is dropped.
pub(crate) async fn beat(pool: Arc<Pool>) {
    let mut period = tokio::time::interval(Duration::from_millis(PERIOD_MS));
    period.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reconnects = pool.connection.reconnects();
    let mut actions_at = Instant::now();
    let mut told: Vec<ExecutionId> = Vec::new();
    let mut draining = false;
    loop {
        tokio::select! {
            _ = period.tick() => {}
            () = pool.draining.cancelled(), if !draining => draining = true,
            changed = reconnects.changed() => match changed {
                Ok(()) => actions_at = Instant::now(),
                Err(_) => return,
            },
            () = pool.registry.changed.notified() => {
                tokio::time::sleep(COALESCE).await;
                if lasting(&pool) == told {
                    continue;
                }
            }
        }
        told = lasting(&pool);
        let with_actions = Instant::now() >= actions_at;
        if with_actions {
            actions_at = Instant::now() + ACTIONS_PERIOD;
        }
        say(&pool, with_actions, false).await;
    }
}

fn lasting(pool: &Pool) -> Vec<ExecutionId> {
    let running = pool.registry.running(COALESCE / 2);
    let mut executions: Vec<_> = running.iter().map(|running| running.execution).collect();
    executions.sort_unstable();
    executions
}

/// The actions that belong to the pool; one that only some workers of another pool serve has none.
fn own_actions(pool: &Pool) -> Vec<ActionInfo> {
    pool.actions.iter().filter(|action| action.pool == pool.name).cloned().collect()
}

/// Says where the worker stands; `leaving` is its last word.
pub(crate) async fn say(pool: &Pool, with_actions: bool, leaving: bool) {
    let heartbeat = Heartbeat {
        worker: pool.worker,
        name: pool.worker_name.clone(),
        pool: pool.name.clone(),
        slots: pool.slots,
        draining: leaving || pool.draining.is_cancelled(),
        leaving,
        actions: with_actions.then(|| own_actions(pool)),
        sandbox: pool.handler.sandbox(),
        running: pool.registry.running(Duration::ZERO),
    };
    match codec::encode(&heartbeat) {
        Ok(bytes) => {
            let subject = subject::heartbeat(&pool.name, pool.worker);
            pool.connection.tell(subject, bytes.into()).await;
        }
        Err(error) => tracing::error!(%error, "a heartbeat does not encode"),
    }
}

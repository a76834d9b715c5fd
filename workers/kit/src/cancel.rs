//! What the workers of a pool are told: what to stop, and when to end.

use std::sync::Arc;

use maestro_schemas::codec;
use maestro_schemas::control::{Cancel, Drain};
use maestro_streams::connect::{Received, Subscription};
use maestro_streams::topology::address::ControlSubject;

use crate::session::Pool;

/// Heeds what comes until the connection is closed.
pub(crate) async fn heed(pool: Arc<Pool>, mut told: Subscription) {
    while let Some(message) = told.next().await {
        heed_one(&pool, &message);
    }
}

fn heed_one(pool: &Pool, message: &Received) {
    match ControlSubject::parse(&message.subject) {
        Some(ControlSubject::Cancel) => cancel(pool, &message.payload),
        Some(ControlSubject::Worker(worker)) if worker == pool.worker => {
            cancel(pool, &message.payload);
        }
        Some(ControlSubject::Drain) => match codec::decode::<Drain>(&message.payload) {
            Ok(Drain { worker }) if worker.is_none_or(|worker| worker == pool.worker) => {
                pool.draining.cancel();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "a drain message is none"),
        },
        _ => {}
    }
}

fn cancel(pool: &Pool, payload: &[u8]) {
    match codec::decode::<Cancel>(payload) {
        Ok(cancel) => pool.registry.cancel(&cancel),
        Err(error) => tracing::warn!(%error, "a cancel message is none"),
    }
}

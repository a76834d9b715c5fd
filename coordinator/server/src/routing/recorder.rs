//! Writes decisions down, in batches, off the path of the answer.

use std::sync::Arc;

use maestro_router::decide::Facts;
use maestro_router::objective::Objectives;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{Choice, RouteRequest};
use sqlx::PgPool;
use tokio::sync::mpsc;

use crate::store::route_decision;

/// Decisions that wait to be written; what is beyond is lost, and the log says so.
const QUEUE: usize = 8_192;
/// The most decisions of one statement.
const AT_ONCE_MAX: usize = 500;

/// A decision with all that it was made from.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its id.
    pub id: DecisionId,
    /// The tenant.
    pub project: ProjectName,
    /// The configuration's text.
    pub config: Arc<str>,
    /// Its digest.
    pub config_digest: Digest,
    /// What was known.
    pub facts: Facts,
    /// What was asked, without its text.
    pub request: RouteRequest,
    /// What was wanted.
    pub objectives: Objectives,
    /// What was decided.
    pub choice: Choice,
}

/// Takes decisions.
#[derive(Debug, Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Decided>,
}

impl Recorder {
    /// Writes into a database, until it is dropped and all is written.
    pub fn start(pool: PgPool) -> Self {
        let (queue, mut decided) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while decided.recv_many(&mut batch, AT_ONCE_MAX).await > 0 {
                if let Err(error) = route_decision::store(&pool, &batch).await {
                    let lost = batch.len();
                    tracing::error!(event = "decisions_lost", %error, lost, "they are not kept");
                }
                batch.clear();
            }
        });
        Self { queue }
    }

    /// Takes a decision; never waits.
    pub(super) fn keep(&self, decided: Decided) {
        if self.queue.try_send(decided).is_err() {
            tracing::error!(event = "decisions_lost", lost = 1, "the database does not keep up");
        }
    }
}

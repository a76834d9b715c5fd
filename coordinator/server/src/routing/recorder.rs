//! Writes decisions down, in batches, off the path of the answer, and again where the database is away.

use std::sync::Arc;
use std::time::Duration;

use maestro_router::decide::Facts;
use maestro_router::objective::Objectives;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{Choice, RouteRequest};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::store::{Error, route_decision};

/// Decisions that wait to be written; what is beyond is lost, and the log says so.
const QUEUE: usize = 8_192;
/// The most decisions of one statement.
const AT_ONCE_MAX: usize = 500;
/// How long a decision waits for others: whoever asked is about to make its call, and is not to wait for a
/// processor that writes.
const LINGER: Duration = Duration::from_millis(20);
/// How long decisions are kept for a database that is away, and the pauses between two tries.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(250);

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
            let mut writing = Writing { pool, config: None };
            let mut batch = Vec::new();
            while let Some(first) = decided.recv().await {
                batch.push(first);
                if !decided.is_closed() {
                    sleep(LINGER).await;
                }
                while batch.len() < AT_ONCE_MAX
                    && let Ok(next) = decided.try_recv()
                {
                    batch.push(next);
                }
                if let Err(error) = writing.write(&batch).await {
                    let lost = batch.len();
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(event = "decisions_lost", error, lost, "they are not kept");
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

struct Writing {
    pool: PgPool,
    /// The configuration that was stored last; it changes with an edit of its file.
    config: Option<Digest>,
}

impl Writing {
    /// Stores decisions; again and again where that may help.
    async fn write(&mut self, batch: &[Decided]) -> Result<(), Error> {
        let (since, mut pause) = (Instant::now(), PAUSE_MIN);
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.write_once(batch).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Another database may have taken the place of the one that had it.
            self.config = None;
            if error.is_of_data() && tries > 1 || since.elapsed() >= PATIENCE {
                return Err(error);
            }
            if tries == 1 {
                tracing::warn!(error = &error as &dyn std::error::Error, "decisions wait");
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn write_once(&mut self, batch: &[Decided]) -> Result<(), Error> {
        if batch.iter().any(|one| Some(one.config_digest) != self.config) {
            route_decision::store_configs(&self.pool, batch).await?;
            self.config = batch.last().map(|one| one.config_digest);
        }
        route_decision::store(&self.pool, batch).await
    }
}

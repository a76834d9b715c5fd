//! Finds out what the fold asks, beside it.

use std::sync::Arc;

use futures::StreamExt;
use maestro_engine::shard::request::{Answer, Ask, AskId, Completion, KnownResult};
use maestro_evidence::store::ArtifactStore;
use maestro_evidence::tree;
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc};

use crate::store::{self, audit, load, plan, result, run_state, set_aside};

/// How many questions are looked into at once.
const AT_ONCE_MAX: usize = 4;

/// Answers questions of the fold.
pub(super) struct Asks {
    state: Arc<State>,
}

struct State {
    pool: PgPool,
    store: ArtifactStore,
    tell: mpsc::Sender<Completion>,
    permits: Semaphore,
}

impl Asks {
    pub(super) fn new(pool: PgPool, store: ArtifactStore, tell: mpsc::Sender<Completion>) -> Self {
        Self { state: Arc::new(State { pool, store, tell, permits: Semaphore::new(AT_ONCE_MAX) }) }
    }

    /// Looks into a question and says the answer to the loop.
    pub(super) fn ask(&self, id: AskId, ask: Ask) {
        let state = Arc::clone(&self.state);
        tokio::spawn(async move {
            let Ok(_permit) = state.permits.acquire().await else { return };
            let answer = match state.find_out(ask).await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(%error, "a question of the fold cannot be answered now");
                    Answer::Unavailable
                }
            };
            let _ = state.tell.send(Completion::Answered(id, answer)).await;
        });
    }
}

/// What cannot be read now cannot be read later either: it counts as not there, so that who needs
/// it does not ask without end.
fn readable<T>(found: Result<Option<T>, store::Error>) -> Result<Option<T>, store::Error> {
    match found {
        Err(error @ store::Error::Unreadable { .. }) => {
            tracing::error!(%error, "what the fold asks for counts as not there");
            Ok(None)
        }
        found => found,
    }
}

/// What the asking run's own rows say of it: where that cannot be read the run cannot go on.
fn own(found: Result<Answer, store::Error>) -> Result<Answer, store::Error> {
    match found {
        Err(error @ store::Error::Unreadable { .. }) => {
            tracing::error!(%error, "a run's rows cannot be read; it is set aside");
            Ok(Answer::Unreadable(set_aside::cause(&error.to_string())))
        }
        found => found,
    }
}

impl State {
    async fn find_out(&self, ask: Ask) -> Result<Answer, store::Error> {
        match ask {
            Ask::Plan { project, digest } => {
                readable(plan::load(&self.pool, &project, digest).await).map(Answer::Plan)
            }
            Ask::Named { run, command } => {
                let answered = audit::named(&self.pool, command).await?;
                let run = run_state::place(&self.pool, run).await?;
                Ok(Answer::Named { answered, run })
            }
            Ask::Former { run, project } => {
                let mut conn = self.connection().await?;
                let former = readable(load::load_former(&mut conn, &project, run).await)?;
                Ok(Answer::Former(former.map(Box::new)))
            }
            Ask::Result { project, key } => self.result(&project, key).await.map(Answer::Result),
            Ask::ItemResults { project, keys } => {
                let mut known = Vec::new();
                for (item, key) in keys {
                    known.extend(self.result(&project, key).await?.map(|found| (item, found)));
                }
                Ok(Answer::ItemResults(known))
            }
            Ask::ItemOutputs { run, node } => {
                let mut conn = self.connection().await?;
                own(load::item_outputs(&mut conn, run, node).await.map(Answer::ItemOutputs))
            }
        }
    }

    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, store::Error> {
        self.pool
            .acquire()
            .await
            .map_err(|source| store::Error::Database { action: "connect", source })
    }

    /// A result counts only where every artifact of it is there; one that is not whole is forgotten.
    async fn result(
        &self,
        project: &ProjectName,
        key: Digest,
    ) -> Result<Option<KnownResult>, store::Error> {
        let known = readable(result::by_key(&self.pool, project, key).await)?;
        let Some(known) = known else { return Ok(None) };
        for artifact in &known.artifacts {
            if !self.is_whole(artifact).await {
                tracing::warn!(%key, role = artifact.role, digest = %artifact.digest, "a known result is not whole; its step runs again");
                result::forget(&self.pool, project, key, known.run).await?;
                return Ok(None);
            }
        }
        Ok(Some(known))
    }

    /// Whether every byte of an artifact is there and is what its digest says; of a directory,
    /// whether all its files are there.
    async fn is_whole(&self, artifact: &Artifact) -> bool {
        if artifact.media_type == TREE_MEDIA_TYPE {
            let Ok(tree) = tree::get(&self.store, artifact.digest, tree::Limits::default()).await
            else {
                return false;
            };
            let files = tree.entries.iter().filter_map(|entry| match &entry.kind {
                TreeEntryKind::File { digest, .. } => Some(*digest),
                TreeEntryKind::Link { .. } => None,
            });
            let files: Vec<Digest> = files.collect();
            return self.store.missing(&files).await.is_ok_and(|missing| missing.is_empty());
        }
        let Ok(reader) = self.store.reader(artifact.digest).await else { return false };
        let mut bytes = std::pin::pin!(reader.into_stream());
        while let Some(part) = bytes.next().await {
            if part.is_err() {
                return false;
            }
        }
        true
    }
}

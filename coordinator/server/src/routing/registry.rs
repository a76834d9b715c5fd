//! What the registry of prompts knows of a text, remembered for a moment.
//!
//! Every call of a model whose messages come from a prompt asks. What must stay true: what is
//! remembered is bounded in number and age, so that a label that another process set holds within
//! [`AGE_MAX`]; where the database does not answer, nothing is made up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{PromptRef, Registered};
use sqlx::PgPool;

use crate::store::Error;
use crate::store::prompt::{self, Named};

/// What is remembered is no older.
pub const AGE_MAX: Duration = Duration::from_secs(1);
/// No more texts are remembered.
const TEXTS_MAX: usize = 4_096;

type Key = (ProjectName, String, Digest);

/// The registry. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Registry {
    pool: PgPool,
    held: Arc<Mutex<HashMap<Key, (Instant, Registered)>>>,
}

impl Registry {
    /// Over a database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, held: Arc::default() }
    }

    /// The newest version of a prompt that has this text, and its labels.
    pub(super) async fn find(
        &self,
        project: &ProjectName,
        asked: &PromptRef,
    ) -> Result<Registered, Error> {
        let key = (project.clone(), asked.name.clone(), asked.digest);
        if let Some((_, known)) = self.held().get(&key).filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return Ok(known.clone());
        }
        let at = Instant::now();
        let named = Named { project, name: &asked.name };
        let known = prompt::registered(&self.pool, named, asked.digest).await?;
        let mut held = self.held();
        if held.len() >= TEXTS_MAX {
            held.retain(|_, (at, _)| at.elapsed() < AGE_MAX);
        }
        if held.len() < TEXTS_MAX {
            held.insert(key, (at, known.clone()));
        }
        Ok(known)
    }

    /// Forgets everything: a version or a label is new.
    pub(super) fn forget(&self) {
        self.held().clear();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Key, (Instant, Registered)>> {
        // What it holds is whole between two entries.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the registry of prompts knows of a text, remembered for a moment.
//!
//! Every call of a model whose messages come from a prompt asks. What must stay true: what is
//! remembered is bounded in number and age, so that a label that another process set holds within
//! [`crate::recent::AGE_MAX`]; where the database does not answer, nothing is made up.

use std::sync::Arc;
use std::time::Instant;

use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{PromptRef, Registered};
use sqlx::PgPool;

use crate::recent::Recent;
use crate::store::Error;
use crate::store::prompt::{self, Named};

type Key = (ProjectName, String, Digest);

/// The registry. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Registry {
    pool: PgPool,
    recent: Arc<Recent<Key, Registered>>,
}

impl Registry {
    /// Over a database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, recent: Arc::default() }
    }

    /// The newest version of a prompt that has this text, and its labels.
    pub(super) async fn find(
        &self,
        project: &ProjectName,
        asked: &PromptRef,
    ) -> Result<Registered, Error> {
        let key = (project.clone(), asked.name.clone(), asked.digest);
        if let Some(known) = self.recent.find(&key) {
            return Ok(known);
        }
        let at = Instant::now();
        let named = Named { project, name: &asked.name };
        let known = prompt::registered(&self.pool, named, asked.digest).await?;
        self.recent.keep(key, at, known.clone());
        Ok(known)
    }

    /// Forgets everything: a version or a label is new.
    pub(super) fn forget(&self) {
        self.recent.forget();
    }
}

//! What a use case did, for the audit log: in the transaction of what it did.

use maestro_schemas::digest::Digest;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction};

use super::{App, Asker, Error};
use crate::store;
use crate::store::audit_act::{self, Act};

/// What was done, and to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    /// As `prompt.label`.
    pub(super) action: &'static str,
    /// As `code_review@3 approved`.
    pub(super) about: String,
    /// The digest of what was asked.
    pub(super) request: Option<Digest>,
}

impl Done {
    /// Something that needs no more words.
    pub(super) fn to(action: &'static str, about: impl Into<String>) -> Self {
        Self { action, about: about.into(), request: None }
    }

    /// The same, with the digest of what was asked.
    pub(super) fn asked<T: Serialize>(mut self, request: &T) -> Self {
        self.request = serde_json::to_value(request).ok().map(|value| Digest::of_json(&value));
        self
    }
}

/// Keeps that somebody did something.
pub(super) async fn keep(
    conn: &mut PgConnection,
    asker: &Asker,
    done: Done,
) -> Result<(), store::Error> {
    let act = Act {
        project: Some(&asker.project),
        actor: &asker.actor,
        action: done.action,
        about: Some(done.about),
        request: done.request,
        answer: json!({ "kind": "accepted" }),
    };
    audit_act::record(conn, &act).await.map(drop)
}

impl App {
    /// Begins what will be done and kept together.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let begun = self.pool.begin().await;
        Ok(begun.map_err(|source| failed("begin an action", source))?)
    }
}

/// Makes both stand.
pub(super) async fn end(transaction: Transaction<'static, Postgres>) -> Result<(), Error> {
    let ended = transaction.commit().await;
    Ok(ended.map_err(|source| failed("keep an action", source))?)
}

fn failed(action: &'static str, source: sqlx::Error) -> store::Error {
    store::Error::Database { action, source }
}

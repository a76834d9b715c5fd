//! What was done that no shard owns, for the audit log. Written in the transaction of the action
//! itself: either both stand or neither.

use maestro_schemas::digest::Digest;
use maestro_schemas::id::ActId;
use maestro_schemas::name::ProjectName;
use serde_json::Value;
use sqlx::PgExecutor;

use super::{Error, json};

/// Who acts where nobody asked: the server itself.
pub const MAESTRO: &str = "maestro";

/// The longest that is kept of what it was done to, in characters.
const ABOUT_CHARS_MAX: usize = 1_000;

/// What somebody did.
#[derive(Debug, Clone, PartialEq)]
pub struct Act<'a> {
    /// The tenant; absent where it concerns them all.
    pub project: Option<&'a ProjectName>,
    /// A token's name, or [`MAESTRO`].
    pub actor: &'a str,
    /// What, as `prompt.label`.
    pub action: &'static str,
    /// What it was done to. No values that somebody may want to keep to themselves.
    pub about: Option<String>,
    /// The digest of what was asked.
    pub request: Option<Digest>,
    /// What became of it.
    pub answer: Value,
}

/// Keeps it. In a transaction, so that it stands where what was done stands.
pub async fn record(db: impl PgExecutor<'_>, act: &Act<'_>) -> Result<ActId, Error> {
    let id = ActId::generate();
    let about = act.about.as_ref().map(|about| about.chars().take(ABOUT_CHARS_MAX));
    let answer = json::text(&act.answer).map_err(|error| Error::unreadable("an act", error))?;
    sqlx::query(
        "insert into audit_act (id, project, actor, action, about, request, answer)
         values ($1, $2, $3, $4, $5, $6, $7::json)",
    )
    .bind(id.uuid())
    .bind(act.project.map(ProjectName::as_str))
    .bind(act.actor)
    .bind(act.action)
    .bind(about.map(String::from_iter))
    .bind(act.request.map(|digest| digest.as_bytes().to_vec()))
    .bind(answer)
    .execute(db)
    .await
    .map_err(Error::doing("keep what was done"))?;
    Ok(id)
}

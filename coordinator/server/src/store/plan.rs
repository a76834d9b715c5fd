//! Plans by digest: stored once, never changed.

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::plan::Plan;
use sqlx::PgExecutor;

use super::{Error, json};

/// Stores a plan; one of the same digest stays as it is.
pub async fn store(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    plan: &CheckedPlan,
) -> Result<Digest, Error> {
    let body = json::text(plan.plan()).map_err(|error| Error::unreadable("a plan", error))?;
    sqlx::query(
        "insert into plan (project, digest, body) values ($1, $2, $3::json) on conflict do nothing",
    )
    .bind(project.as_str())
    .bind(plan.digest().as_bytes().as_slice())
    .bind(body)
    .execute(db)
    .await
    .map_err(Error::doing("store a plan"))?;
    Ok(plan.digest())
}

/// A stored plan as the text of JSON that it was stored as.
pub async fn text(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digest: Digest,
) -> Result<Option<String>, Error> {
    sqlx::query_scalar("select body::text from plan where project = $1 and digest = $2")
        .bind(project.as_str())
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read a plan"))
}

/// A stored plan, checked anew; absent where there is none of that digest.
pub async fn load(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digest: Digest,
) -> Result<Option<CheckedPlan>, Error> {
    text(db, project, digest).await?.as_deref().map(checked).transpose()
}

/// Whether a plan is stored.
pub async fn exists(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digest: Digest,
) -> Result<bool, Error> {
    sqlx::query_scalar("select exists (select from plan where project = $1 and digest = $2)")
        .bind(project.as_str())
        .bind(digest.as_bytes().as_slice())
        .fetch_one(db)
        .await
        .map_err(Error::doing("look for a plan"))
}

/// Reads and checks a plan's text.
pub(super) fn checked(text: &str) -> Result<CheckedPlan, Error> {
    let plan: Plan = json::value("plan.body", text)?;
    CheckedPlan::check(plan).map_err(|error| Error::unreadable("plan.body", error))
}

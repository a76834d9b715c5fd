//! What runs made that have ended and are not signed yet.

use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::PgExecutor;

use super::{Error, json};

/// The most runs that are looked at: those whose end is not told yet, and as many whose evidence is due.
const RUNS_MAX: i64 = 1_000;

/// The most attempts of theirs that are looked through.
const ATTEMPTS_SEEN: i64 = 50_000;

/// The most attempts that are given.
const ATTEMPTS_MAX: i64 = 100;

// A run is among the first from the commit of its end on, and then among the second.
const MADE: &str = "
  with ended as (
    select run from (select run, project from notice where kind = 'run_ended' order by id desc limit $3) told
     where project = $1
    union
    select run from (select run, project from evidence where manifest is null
                      order by due_at desc limit $3) due
     where project = $1),
  seen as (
    select a.run, a.artifacts::text as artifacts from attempt a join ended using (run)
     where a.outcome = 'succeeded' and a.artifacts is not null limit $4)
  select run, artifacts from seen where artifacts like '%' || $2 || '%' order by run limit $5";

/// Artifacts of attempts that succeeded and name something, of runs that have ended and are not signed yet;
/// the oldest run first.
pub async fn made(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    made: Digest,
) -> Result<Vec<(RunId, Vec<Artifact>)>, Error> {
    let rows: Vec<(uuid::Uuid, String)> = sqlx::query_as(MADE)
        .bind(project.as_str())
        .bind(made.to_string())
        .bind(RUNS_MAX)
        .bind(ATTEMPTS_SEEN)
        .bind(ATTEMPTS_MAX)
        .fetch_all(db)
        .await
        .map_err(Error::doing("look for what unsigned runs made"))?;
    let read = |(run, artifacts): (uuid::Uuid, String)| {
        Ok((RunId::from_uuid(run), json::value("artifacts", &artifacts)?))
    };
    rows.into_iter().map(read).collect()
}

//! What is signed of runs that ended. Written by the notary; a run is put here by
//! [`super::notice::confirm`].

use std::collections::BTreeSet;
use std::time::Duration;

use futures::Stream;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::{PgExecutor, PgPool};

use super::{Error, json};

/// A run whose evidence is to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The run.
    pub run: RunId,
    /// Its tenant.
    pub project: ProjectName,
    /// How often it was tried, this time included.
    pub tries: u32,
}

/// Where the evidence of a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The bundle over all files, and how many those are; absent until it is signed.
    pub manifest: Option<(Digest, u32)>,
    /// Why it was not signed the last time.
    pub problem: Option<String>,
}

/// Rows of a run as evidence keeps them: a text of JSON each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Its own row.
    Run,
    /// Its attempts.
    Attempts,
    /// Its steps that ended without an attempt.
    Steps,
    /// What was asked of it, with the answers.
    Commands,
    /// Its calls of models.
    Calls,
    /// The routing decisions that those followed, with their verdicts.
    Decisions,
}

impl Rows {
    const fn statement(self) -> &'static str {
        match self {
            Self::Run => "select row_to_json(t)::text from run t where id = $1",
            Self::Attempts => {
                "select row_to_json(t)::text from attempt t where run = $1
                  order by node, item, visit, number"
            }
            Self::Steps => {
                "select row_to_json(t)::text from step t where run = $1 order by node, item, visit"
            }
            Self::Commands => {
                "select row_to_json(t)::text from audit t where run = $1 order by at_ms, command"
            }
            Self::Calls => {
                "select row_to_json(t)::text from model_call t where run = $1 and not unmade
                  order by execution, ordinal"
            }
            Self::Decisions => {
                "select row_to_json(t)::text from route_decision t
                  where id in (select decision from model_call where run = $1 and not unmade) order by id"
            }
        }
    }
}

/// Runs that are due, at most `count_max`; nobody else is given them for `hold`.
pub async fn take(
    db: impl PgExecutor<'_>,
    count_max: u16,
    hold: Duration,
) -> Result<Vec<Due>, Error> {
    let rows: Vec<(uuid::Uuid, String, i32)> = sqlx::query_as(
        "update evidence e set tries = e.tries + 1, due_at = now() + $2 * interval '1 second'
           from (select run from evidence where manifest is null and due_at <= now()
                  order by due_at limit $1 for update skip locked) due
          where e.run = due.run returning e.run, e.project, e.tries",
    )
    .bind(i32::from(count_max))
    .bind(hold.as_secs_f64())
    .fetch_all(db)
    .await
    .map_err(Error::doing("take runs whose evidence is due"))?;
    rows.into_iter()
        .map(|(run, project, tries)| {
            Ok(Due {
                run: RunId::from_uuid(run),
                project: project
                    .parse()
                    .map_err(|_| Error::unreadable("evidence.project", &project))?,
                tries: u32::try_from(tries).unwrap_or(u32::MAX),
            })
        })
        .collect()
}

/// Says why a run's evidence was not signed, and when it is tried next.
pub async fn put_off(
    db: impl PgExecutor<'_>,
    run: RunId,
    problem: &str,
    pause: Duration,
) -> Result<(), Error> {
    sqlx::query(
        "update evidence set problem = left($2, 1000), due_at = now() + $3 * interval '1 second'
          where run = $1 and manifest is null",
    )
    .bind(run.uuid())
    .bind(problem)
    .bind(pause.as_secs_f64())
    .execute(db)
    .await
    .map_err(Error::doing("put evidence off"))?;
    Ok(())
}

/// Rows of a run, one after the other.
pub fn rows(
    pool: &PgPool,
    run: RunId,
    rows: Rows,
) -> impl Stream<Item = Result<String, sqlx::Error>> + '_ {
    sqlx::query_scalar(rows.statement()).bind(run.uuid()).fetch(pool)
}

/// Keeps a file of a run's evidence.
pub async fn keep(
    db: impl PgExecutor<'_>,
    run: RunId,
    digest: Digest,
    body: &[u8],
) -> Result<(), Error> {
    sqlx::query(
        "insert into evidence_file (run, digest, body) values ($1, $2, $3) on conflict do nothing",
    )
    .bind(run.uuid())
    .bind(digest.as_bytes().as_slice())
    .bind(body)
    .execute(db)
    .await
    .map_err(Error::doing("keep a file of evidence"))?;
    Ok(())
}

/// Notes which statement says how something was made.
pub async fn note(
    db: impl PgExecutor<'_>,
    due: &Due,
    made: Digest,
    statement: Digest,
) -> Result<(), Error> {
    sqlx::query(
        "insert into evidence_subject (project, digest, run, statement) values ($1, $2, $3, $4)
         on conflict do nothing",
    )
    .bind(due.project.as_str())
    .bind(made.as_bytes().as_slice())
    .bind(due.run.uuid())
    .bind(statement.as_bytes().as_slice())
    .execute(db)
    .await
    .map_err(Error::doing("note what a statement is about"))?;
    Ok(())
}

/// A run's evidence is signed.
pub async fn signed(
    db: impl PgExecutor<'_>,
    run: RunId,
    manifest: Digest,
    files: usize,
) -> Result<(), Error> {
    sqlx::query(
        "update evidence set manifest = $2, files = $3, signed_at = now(), problem = null
          where run = $1 and manifest is null",
    )
    .bind(run.uuid())
    .bind(manifest.as_bytes().as_slice())
    .bind(i32::try_from(files).unwrap_or(i32::MAX))
    .execute(db)
    .await
    .map_err(Error::doing("note that evidence is signed"))?;
    Ok(())
}

/// Where the evidence of a run stands; absent where the run has not ended.
pub async fn standing(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<Standing>, Error> {
    type Row = (Option<Vec<u8>>, Option<i32>, Option<String>);
    let row: Option<Row> = sqlx::query_as(
        "select manifest, files, problem from evidence where run = $1 and project = $2",
    )
    .bind(run.uuid())
    .bind(project.as_str())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for a run's evidence"))?;
    row.map(|(manifest, files, problem)| {
        let digest = manifest.map(|bytes| json::digest("evidence.manifest", &bytes)).transpose()?;
        let files = files.and_then(|files| u32::try_from(files).ok()).unwrap_or_default();
        Ok(Standing { manifest: digest.map(|digest| (digest, files)), problem })
    })
    .transpose()
}

/// A file of a run's evidence.
pub async fn file(
    db: impl PgExecutor<'_>,
    run: RunId,
    digest: Digest,
) -> Result<Option<Vec<u8>>, Error> {
    sqlx::query_scalar("select body from evidence_file where run = $1 and digest = $2")
        .bind(run.uuid())
        .bind(digest.as_bytes().as_slice())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read a file of evidence"))
}

/// The run whose statement says how something was made, and that statement; the oldest of several.
pub async fn about(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    made: Digest,
) -> Result<Option<(RunId, Vec<u8>)>, Error> {
    let row: Option<(uuid::Uuid, Vec<u8>)> = sqlx::query_as(
        "select s.run, f.body from evidence_subject s
           join evidence_file f on f.run = s.run and f.digest = s.statement
          where s.project = $1 and s.digest = $2 order by s.run limit 1",
    )
    .bind(project.as_str())
    .bind(made.as_bytes().as_slice())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for a statement"))?;
    Ok(row.map(|(run, body)| (RunId::from_uuid(run), body)))
}

/// The newest run whose statement says how something was made.
pub async fn newest_about(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    made: Digest,
) -> Result<Option<RunId>, Error> {
    let run: Option<uuid::Uuid> = sqlx::query_scalar(
        "select run from evidence_subject where project = $1 and digest = $2
          order by run desc limit 1",
    )
    .bind(project.as_str())
    .bind(made.as_bytes().as_slice())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for the newest statement"))?;
    Ok(run.map(RunId::from_uuid))
}

/// Which of `signed` statements are about which of these things: the first pairs of the thing and the
/// statement.
pub async fn statements_about(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    made: &BTreeSet<Digest>,
    signed: &BTreeSet<Digest>,
    count_max: u32,
) -> Result<Vec<(Digest, Digest)>, Error> {
    let bytes = |digests: &BTreeSet<Digest>| -> Vec<Vec<u8>> {
        digests.iter().map(|digest| digest.as_bytes().to_vec()).collect()
    };
    let found: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "select distinct digest, statement from evidence_subject
          where project = $1 and digest = any($2) and statement = any($3)
          order by digest, statement limit $4",
    )
    .bind(project.as_str())
    .bind(bytes(made))
    .bind(bytes(signed))
    .bind(i64::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for statements"))?;
    let read = |(made, statement): &(Vec<u8>, Vec<u8>)| {
        let made = json::digest("evidence_subject.digest", made)?;
        Ok((made, json::digest("evidence_subject.statement", statement)?))
    };
    found.iter().map(read).collect()
}

/// The oldest other run with statements about something, and the first of those statements.
pub async fn taken_from(
    db: impl PgExecutor<'_>,
    due: &Due,
    made: Digest,
    count_max: u32,
) -> Result<Vec<(RunId, Vec<u8>)>, Error> {
    let rows: Vec<(uuid::Uuid, Vec<u8>)> = sqlx::query_as(
        "select s.run, f.body from evidence_subject s
           join evidence_file f on f.run = s.run and f.digest = s.statement
          where s.project = $1 and s.digest = $2
            and s.run = (select run from evidence_subject
                          where project = $1 and digest = $2 and run <> $3 order by run limit 1)
          order by s.statement limit $4",
    )
    .bind(due.project.as_str())
    .bind(made.as_bytes().as_slice())
    .bind(due.run.uuid())
    .bind(i64::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for the statements of a former run"))?;
    Ok(rows.into_iter().map(|(run, body)| (RunId::from_uuid(run), body)).collect())
}

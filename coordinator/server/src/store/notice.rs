//! What others act on, until its message is confirmed. Made by commits only.

use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use serde_json::Value;
use sqlx::PgExecutor;

use super::{Error, json};

/// A notice whose message has not been confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Its number, in the order of commits as far as one shard goes.
    pub id: i64,
    /// The run.
    pub run: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// `run_ended`.
    pub kind: String,
    /// What happened.
    pub body: Value,
}

/// The oldest notices, at most `count_max`.
pub async fn pending(db: impl PgExecutor<'_>, count_max: u16) -> Result<Vec<Notice>, Error> {
    let rows: Vec<(i64, uuid::Uuid, String, String, String)> = sqlx::query_as(
        "select id, run, project, kind, body::text from notice order by id limit $1",
    )
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("read notices"))?;
    rows.into_iter()
        .map(|(id, run, project, kind, body)| {
            Ok(Notice {
                id,
                run: RunId::from_uuid(run),
                project: project
                    .parse()
                    .map_err(|_| Error::unreadable("notice.project", &project))?,
                kind,
                body: json::value("notice.body", &body)?,
            })
        })
        .collect()
}

/// Deletes notices whose messages were confirmed. The evidence of a run that ended is due from then on.
pub async fn confirm(db: impl PgExecutor<'_>, ids: &[i64]) -> Result<(), Error> {
    sqlx::query(
        "with told as (delete from notice where id = any ($1) returning run, project, kind)
         insert into evidence (run, project)
         select distinct run, project from told where kind = 'run_ended' on conflict do nothing",
    )
    .bind(ids)
    .execute(db)
    .await
    .map_err(Error::doing("delete notices"))?;
    Ok(())
}

//! What was asked for, by idempotency key: same key, same request, same run, same command.

use std::collections::BTreeMap;

use maestro_schemas::command::{Command, CommandKind, Rerun, Submission};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, RunId};
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, json};

/// A submission as it was first made.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionRow {
    /// The tenant.
    pub project: ProjectName,
    /// What makes two submissions one; at most 200 bytes.
    pub idempotency_key: String,
    /// The digest of what was asked.
    pub request_digest: Digest,
    /// The run that it becomes.
    pub run: RunId,
    /// The command that begins it.
    pub command: CommandId,
    /// The run's shard; nobody computes it anew.
    pub shard: u16,
    /// The stored plan.
    pub plan: Digest,
    /// What lists are filtered by.
    pub labels: BTreeMap<String, String>,
    /// What it takes over from a run before it.
    pub rerun: Option<Rerun>,
    /// Who asked.
    pub actor: String,
}

impl SubmissionRow {
    /// The command that begins the run: the same however often it is sent.
    pub fn command(&self, answer_to: Option<String>) -> Command {
        Command {
            id: self.command,
            run: self.run,
            project: self.project.clone(),
            actor: self.actor.clone(),
            answer_to,
            ask: CommandKind::Submit(Submission {
                plan: self.plan,
                labels: self.labels.clone(),
                rerun: self.rerun.clone(),
            }),
        }
    }
}

/// Makes a submission, or finds the one that was made under its key before. The answer is the row
/// that stands, and whether it stood already; whether it asked for the same is the caller's to
/// compare.
pub async fn store(
    db: impl PgExecutor<'_>,
    row: &SubmissionRow,
) -> Result<(SubmissionRow, bool), Error> {
    let unwritable = |error| Error::unreadable("submission", error);
    let record: Record = sqlx::query_as(
        "with made as (
           insert into submission (project, idempotency_key, request_digest, run, command, shard,
                                   plan, labels, rerun, actor)
           values ($1, $2, $3, $4, $5, $6, $7, $8::json, $9::json, $10)
           -- Locks the row and changes nothing, so that it is seen whoever made it.
           on conflict (project, idempotency_key) do update set project = excluded.project
           returning *)
         select project, idempotency_key, request_digest, run, command, shard, plan,
                labels::text as labels, rerun::text as rerun, actor from made",
    )
    .bind(row.project.as_str())
    .bind(&row.idempotency_key)
    .bind(row.request_digest.as_bytes().as_slice())
    .bind(row.run.uuid())
    .bind(row.command.uuid())
    .bind(i32::from(row.shard))
    .bind(row.plan.as_bytes().as_slice())
    .bind(json::text(&row.labels).map_err(unwritable)?)
    .bind(row.rerun.as_ref().map(json::text).transpose().map_err(unwritable)?)
    .bind(&row.actor)
    .fetch_one(db)
    .await
    .map_err(Error::doing("store a submission"))?;
    let stands = record.row()?;
    let stood = stands.command != row.command;
    Ok((stands, stood))
}

/// The submission of a run.
pub async fn of_run(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<SubmissionRow>, Error> {
    let record: Option<Record> = sqlx::query_as(
        "select project, idempotency_key, request_digest, run, command, shard, plan,
                labels::text as labels, rerun::text as rerun, actor
           from submission where run = $1 and project = $2",
    )
    .bind(run.uuid())
    .bind(project.as_str())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("read a submission"))?;
    record.map(Record::row).transpose()
}

#[derive(FromRow)]
struct Record {
    project: String,
    idempotency_key: String,
    request_digest: Vec<u8>,
    run: Uuid,
    command: Uuid,
    shard: i32,
    plan: Vec<u8>,
    labels: String,
    rerun: Option<String>,
    actor: String,
}

impl Record {
    fn row(self) -> Result<SubmissionRow, Error> {
        Ok(SubmissionRow {
            project: self
                .project
                .parse()
                .map_err(|_| Error::unreadable("submission.project", &self.project))?,
            idempotency_key: self.idempotency_key,
            request_digest: json::digest("submission.request_digest", &self.request_digest)?,
            run: RunId::from_uuid(self.run),
            command: CommandId::from_uuid(self.command),
            shard: unsigned("submission.shard", self.shard)?,
            plan: json::digest("submission.plan", &self.plan)?,
            labels: json::value("submission.labels", &self.labels)?,
            rerun: json::value_if_any("submission.rerun", self.rerun.as_deref())?,
            actor: self.actor,
        })
    }
}

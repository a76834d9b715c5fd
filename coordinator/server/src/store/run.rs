//! Runs as lists and readers see them. Read only: commits alone change a run.
//!
//! While a run has not ended its row is behind what its attempts tell, because a plain step does
//! not write it; so counts and sums of an unfinished run are taken from the attempts.

use std::collections::BTreeMap;

use maestro_schemas::api::runs::RunSummary;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::RunState;
use serde_json::Value;
use sqlx::{FromRow, PgExecutor};
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, json};

/// What a list of runs is narrowed by.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A state.
    pub state: Option<RunState>,
    /// A pipeline's name.
    pub pipeline: Option<String>,
    /// Labels that a run must have.
    pub labels: BTreeMap<String, String>,
    /// Only runs that are older than this one: the last of the page before.
    pub before: Option<RunId>,
    /// The most runs.
    pub count_max: u16,
}

/// A run with what a reader of it alone needs.
#[derive(Debug, Clone, PartialEq)]
pub struct RunDetails {
    /// What lists show.
    pub summary: RunSummary,
    /// Its shard.
    pub shard: u16,
    /// Its own outputs, once it has ended.
    pub outputs: BTreeMap<String, Value>,
    /// The last batch that changed any row of it.
    pub batch: u64,
}

/// The columns of a summary, of the runs that the condition picks.
macro_rules! summaries_where {
    ($condition:literal) => {
        concat!(
            "select r.id, r.project, r.pipeline, r.state, r.cause, r.plan, r.labels::text as labels,
                    r.created_at_ms, r.ended_at_ms, r.steps_total, r.rerun_of,
                    coalesce(a.ended + s.ended + f.reused, r.steps_ended) as steps_ended,
                    coalesce(a.failed + s.failed, r.steps_failed) as steps_failed,
                    coalesce(s.cached, r.steps_cached) as steps_cached,
                    coalesce(a.cost_microusd, r.cost_microusd) as cost_microusd,
                    coalesce(a.work_ms, r.work_ms) as work_ms,
                    r.shard, r.outputs::text as outputs
               from run r
               left join lateral (
                 select count(*) filter (where state <> 'waiting') as ended,
                        count(*) filter (where state = 'failed') as failed,
                        coalesce(sum(cost_microusd), 0)::bigint as cost_microusd,
                        coalesce(sum(wall_ms), 0)::bigint as work_ms
                   from attempt where run = r.id and r.state in ('running', 'cancelling')) a on r.state in ('running', 'cancelling')
               left join lateral (
                 select count(*) as ended, count(*) filter (where state = 'failed') as failed,
                        count(*) filter (where state = 'cached') as cached
                   from step where run = r.id and r.state in ('running', 'cancelling')) s on r.state in ('running', 'cancelling')
               left join lateral (
                 select coalesce(sum(bit_count(reused)), 0)::bigint as reused
                   from fanout where run = r.id and r.state in ('running', 'cancelling')) f on r.state in ('running', 'cancelling')
              where ",
            $condition
        )
    };
}

const LIST: &str = summaries_where!(
    "r.project = $1 and ($2::text is null or r.state = $2)
       and ($3::text is null or r.pipeline = $3)
       and ($4::text is null or r.labels @> $4::text::jsonb and r.labels <> '{}')
       and ($5::uuid is null or r.id < $5)
     order by r.id desc limit $6"
);

const ONE: &str = summaries_where!("r.project = $1 and r.id = $2");

const LAST_BATCH: &str = "
  select greatest(coalesce(r.changed_batch, r.begun_batch),
                  (select max(batch) from attempt where run = r.id and r.state in ('running', 'cancelling')),
                  (select max(batch) from step where run = r.id and r.state in ('running', 'cancelling')),
                  (select max(batch) from run_event where run = r.id))
    from run r where r.id = $1";

/// Runs of a project, the youngest first.
pub async fn list(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    filter: &Filter,
) -> Result<Vec<RunSummary>, Error> {
    let labels = (!filter.labels.is_empty()).then(|| json::text(&filter.labels)).transpose();
    let rows: Vec<Record> = sqlx::query_as(LIST)
        .bind(project.as_str())
        .bind(filter.state.map(RunState::as_str))
        .bind(filter.pipeline.as_deref())
        .bind(labels.map_err(|error| Error::unreadable("labels", error))?)
        .bind(filter.before.map(RunId::uuid))
        .bind(i32::from(filter.count_max))
        .fetch_all(db)
        .await
        .map_err(Error::doing("list runs"))?;
    rows.iter().map(Record::summary).collect()
}

/// One run; absent where there is none or it is another project's.
///
/// `batch` is read first: what happens in between is told twice to who resumes from it, not missed.
pub async fn details(
    db: &sqlx::PgPool,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<RunDetails>, Error> {
    let batch: Option<i64> = sqlx::query_scalar(LAST_BATCH)
        .bind(run.uuid())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read a run's last batch"))?;
    let row: Option<Record> = sqlx::query_as(ONE)
        .bind(project.as_str())
        .bind(run.uuid())
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read a run"))?;
    let (Some(row), Some(batch)) = (row, batch) else { return Ok(None) };
    Ok(Some(RunDetails {
        summary: row.summary()?,
        shard: unsigned("run.shard", row.shard)?,
        outputs: json::value_or_empty("run.outputs", row.outputs.as_deref())?,
        batch: unsigned("run.batch", batch)?,
    }))
}

/// What readers of a run need to find its rows: absent where it is another project's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The run.
    pub id: RunId,
    /// Its shard.
    pub shard: u16,
    /// Where it stands.
    pub state: RunState,
    /// Its plan.
    pub plan: maestro_schemas::digest::Digest,
}

/// A run's head, for its project only.
pub async fn head(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<Head>, Error> {
    let row: Option<(i32, String, Vec<u8>)> =
        sqlx::query_as("select shard, state, plan from run where id = $1 and project = $2")
            .bind(run.uuid())
            .bind(project.as_str())
            .fetch_optional(db)
            .await
            .map_err(Error::doing("read a run's head"))?;
    row.map(|(shard, state, plan)| {
        Ok(Head {
            id: run,
            shard: unsigned("run.shard", shard)?,
            state: parse_state(&state)?,
            plan: json::digest("run.plan", &plan)?,
        })
    })
    .transpose()
}

/// A run that has ended, as its evidence says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The pipeline's name.
    pub pipeline: String,
    /// How it ended.
    pub state: String,
    /// Its plan.
    pub plan: maestro_schemas::digest::Digest,
    /// When it began, by its shard's clock.
    pub created_at_ms: u64,
    /// When it ended, by its shard's clock.
    pub ended_at_ms: u64,
}

/// A run that has ended; absent where it has not.
pub async fn ended(db: impl PgExecutor<'_>, run: RunId) -> Result<Option<Ended>, Error> {
    let row: Option<(String, String, Vec<u8>, i64, i64)> = sqlx::query_as(
        "select pipeline, state, plan, created_at_ms, ended_at_ms from run
          where id = $1 and ended_at_ms is not null",
    )
    .bind(run.uuid())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("read a run that has ended"))?;
    row.map(|(pipeline, state, plan, created, ended)| {
        Ok(Ended {
            pipeline,
            state,
            plan: json::digest("run.plan", &plan)?,
            created_at_ms: unsigned("run.created_at_ms", created)?,
            ended_at_ms: unsigned("run.ended_at_ms", ended)?,
        })
    })
    .transpose()
}

/// Whose runs these are; those that are unknown are left out.
pub async fn projects(
    db: impl PgExecutor<'_>,
    runs: std::collections::BTreeSet<RunId>,
) -> Result<Vec<(RunId, ProjectName)>, Error> {
    let ids: Vec<Uuid> = runs.into_iter().map(RunId::uuid).collect();
    let rows: Vec<(Uuid, String)> =
        sqlx::query_as("select id, project from run where id = any ($1)")
            .bind(ids)
            .fetch_all(db)
            .await
            .map_err(Error::doing("read whose runs they are"))?;
    rows.into_iter()
        .map(|(id, project)| {
            let project =
                project.parse().map_err(|_| Error::unreadable("run.project", &project))?;
            Ok((RunId::from_uuid(id), project))
        })
        .collect()
}

fn parse_state(text: &str) -> Result<RunState, Error> {
    RunState::parse(text).ok_or_else(|| Error::unreadable("run.state", text))
}

#[derive(FromRow)]
struct Record {
    id: Uuid,
    project: String,
    pipeline: String,
    state: String,
    cause: Option<String>,
    plan: Vec<u8>,
    labels: String,
    created_at_ms: i64,
    ended_at_ms: Option<i64>,
    steps_total: i64,
    rerun_of: Option<Uuid>,
    steps_ended: i64,
    steps_failed: i64,
    steps_cached: i64,
    cost_microusd: i64,
    work_ms: i64,
    shard: i32,
    outputs: Option<String>,
}

impl Record {
    fn summary(&self) -> Result<RunSummary, Error> {
        Ok(RunSummary {
            id: RunId::from_uuid(self.id),
            project: self.project.clone(),
            pipeline: self.pipeline.clone(),
            state: parse_state(&self.state)?,
            cause: self.cause.clone(),
            plan: json::digest("run.plan", &self.plan)?,
            labels: json::value("run.labels", &self.labels)?,
            created_at_ms: unsigned("run.created_at_ms", self.created_at_ms)?,
            ended_at_ms: self.ended_at_ms.map(|at| unsigned("run.ended_at_ms", at)).transpose()?,
            steps_total: unsigned("run.steps_total", self.steps_total)?,
            steps_ended: unsigned("run.steps_ended", self.steps_ended)?,
            steps_failed: unsigned("run.steps_failed", self.steps_failed)?,
            steps_cached: unsigned("run.steps_cached", self.steps_cached)?,
            rerun_of: self.rerun_of.map(RunId::from_uuid),
            cost_microusd: unsigned("run.cost_microusd", self.cost_microusd)?,
            work_ms: unsigned("run.work_ms", self.work_ms)?,
        })
    }
}

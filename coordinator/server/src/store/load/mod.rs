//! Runs as their rows say: what a new owner begins with.
//!
//! Called by the fold after it raised a shard's epoch, from when on nobody else writes those rows,
//! so the few statements need no common snapshot. How many statements there are does not depend on
//! how many runs.

mod assemble;
mod item_outputs;

pub use item_outputs::{Taken, item_outputs, items_taken};

use futures::TryStreamExt;
use maestro_engine::shard::request::LoadedRun;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Error;
use super::records::{
    AttemptRecord, DispatchRecord, FanoutRecord, ItemRecord, PlanRecord, RunRecord, SpentRecord,
    StepRecord, TimerRecord,
};
use assemble::Assembly;

/// What a shard holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Runs that have not ended, the oldest first.
    pub runs: Vec<LoadedRun>,
    /// Runs that this build cannot read; they are to be quarantined.
    pub unreadable: Vec<Unreadable>,
}

/// A run that this build cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The run.
    pub run: RunId,
    /// The tenant, as the row has it.
    pub project: String,
    /// What was found.
    pub reason: String,
}

/// The columns of a run, of the runs that the condition picks.
macro_rules! runs_where {
    ($condition:literal) => {
        concat!(
            "select id, project, shard, pipeline, state, plan, labels::text as labels,
                    rerun::text as rerun, created_at_ms, begun_batch, begun_steps, changed_batch,
                    cause, cancel_reason, cancelled_again, steps_total, steps_ended, steps_failed, steps_cached,
                    cost_microusd, work_ms, outputs::text as outputs, ended_at_ms
               from run where ",
            $condition
        )
    };
}

const UNFINISHED: &str = runs_where!("shard = $1 and state in ('running', 'cancelling')");

const ONE: &str = runs_where!("id = $1");

const PLANS: &str = "
  select p.project, p.digest, p.body::text as body
    from plan p join (select distinct project, plan from run where id = any ($1)) r
      on p.project = r.project and p.digest = r.plan";

const STEPS: &str = "
  select run, node, item, visit, batch, state, reason, blocks, ended_at_ms,
         outputs::text as outputs, artifacts::text as artifacts
    from step s
   where run = any ($1)
     and not exists (select from fanout f where f.run = s.run and f.node = s.node)
   order by run, node, item, visit";

const ATTEMPTS: &str = "
  select distinct on (run, node, item, visit)
         run, node, item, visit, number, shard, epoch, batch, state, outcome, decided_at_ms,
         ended_at_ms, execution, worker, wall_ms, cpu_ms, cost_microusd, failure::text as failure,
         outputs::text as outputs, artifacts::text as artifacts
    from attempt a
   where run = any ($1)
     and not exists (select from fanout f where f.run = a.run and f.node = a.node)
   order by run, node, item, visit, number desc";

const ITEMS: &str = "
  select a.run, a.node, a.item, a.state
    from attempt a join fanout f on f.run = a.run and f.node = a.node
   where a.run = any ($1) and a.state <> 'waiting'
  union all
  select s.run, s.node, s.item, s.state
    from step s join fanout f on f.run = s.run and f.node = s.node
   where s.run = any ($1)";

const DISPATCHED: &str = "
  select run, node, item, visit, shard, number, epoch, lapses, pool, project, priority,
         decided_at_ms
    from dispatch where run = any ($1) order by run, node, item, visit";

const TIMERS: &str = "
  select run, node, item, visit, attempt, lapses, due_at_ms
    from timer where run = any ($1) order by run, node, item, visit";

const FANOUTS: &str = "
  select run, node, batch, count, cursor, items::text as items, closed, reused
    from fanout where run = any ($1) order by run, node";

const SPENT: &str = "
  select run, sum(wall_ms)::bigint as wall_ms, sum(cpu_ms)::bigint as cpu_ms,
         sum(cost_microusd)::bigint as cost_microusd
    from attempt where run = any ($1) group by run";

/// Every run of a shard that has not ended.
pub async fn load_shard_runs(conn: &mut PgConnection, shard: u16) -> Result<Loaded, Error> {
    let rows = sqlx::query_as(UNFINISHED)
        .bind(i32::from(shard))
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::doing("read a shard's runs"))?;
    complete(conn, rows).await
}

/// One run, ended or not; absent where there is none or it is another shard's.
pub async fn load_run(
    conn: &mut PgConnection,
    shard: u16,
    run: RunId,
) -> Result<Option<LoadedRun>, Error> {
    let rows = one(conn, run).await?.into_iter().filter(|row| row.shard == i32::from(shard));
    only(complete(conn, rows.collect()).await?)
}

/// A run that has ended, for a rerun; absent where there is none, it is another project's, or it
/// has not ended.
pub async fn load_former(
    conn: &mut PgConnection,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<LoadedRun>, Error> {
    let rows = one(conn, run)
        .await?
        .into_iter()
        .filter(|row| row.project == project.as_str() && row.has_ended());
    only(complete(conn, rows.collect()).await?)
}

/// A run of a project, ended or not, for who looks at it; absent where there is none.
pub async fn load_seen(
    conn: &mut PgConnection,
    project: &ProjectName,
    run: RunId,
) -> Result<Option<LoadedRun>, Error> {
    let rows = one(conn, run).await?.into_iter().filter(|row| row.project == project.as_str());
    only(complete(conn, rows.collect()).await?)
}

async fn one(conn: &mut PgConnection, run: RunId) -> Result<Option<RunRecord>, Error> {
    sqlx::query_as(ONE)
        .bind(run.uuid())
        .fetch_optional(conn)
        .await
        .map_err(Error::doing("read a run"))
}

fn only(mut loaded: Loaded) -> Result<Option<LoadedRun>, Error> {
    match loaded.unreadable.pop() {
        Some(Unreadable { run, reason, .. }) => {
            Err(Error::unreadable("run", format!("{run}: {reason}")))
        }
        None => Ok(loaded.runs.pop()),
    }
}

async fn complete(conn: &mut PgConnection, rows: Vec<RunRecord>) -> Result<Loaded, Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(Loaded::default());
    }
    let mut assembly = Assembly::of(rows);
    each(conn, PLANS, &ids, |row: PlanRecord| assembly.plan(row)).await?;
    each(conn, STEPS, &ids, |row: StepRecord| assembly.step(row)).await?;
    each(conn, ATTEMPTS, &ids, |row: AttemptRecord| assembly.attempt(row)).await?;
    each(conn, ITEMS, &ids, |row: ItemRecord| assembly.item(row)).await?;
    each(conn, DISPATCHED, &ids, |row: DispatchRecord| assembly.dispatched(row)).await?;
    each(conn, TIMERS, &ids, |row: TimerRecord| assembly.timer(row)).await?;
    each(conn, FANOUTS, &ids, |row: FanoutRecord| assembly.fanout(row)).await?;
    each(conn, SPENT, &ids, |row: SpentRecord| assembly.spent(row)).await?;
    let mut loaded = assembly.finish();
    for mut run in std::mem::take(&mut loaded.runs) {
        match read_sources(conn, &mut run).await {
            Ok(()) => loaded.runs.push(run),
            // It must not keep the others of its shard from being loaded.
            Err(error @ Error::Unreadable { .. }) => loaded.unreadable.push(Unreadable {
                run: run.row.id,
                project: run.row.project.to_string(),
                reason: error.to_string(),
            }),
            Err(error) => return Err(error),
        }
    }
    Ok(loaded)
}

async fn read_sources(conn: &mut PgConnection, run: &mut LoadedRun) -> Result<(), Error> {
    for source in run.sources() {
        let made = item_outputs(conn, run.row.id, source).await?;
        let outputs = made.into_iter().map(|(outputs, _)| outputs).collect();
        run.item_outputs.insert(source, outputs);
    }
    Ok(())
}

/// Reads the rows of a statement one by one: a fan-out has a million of them.
async fn each<R>(
    conn: &mut PgConnection,
    statement: &'static str,
    ids: &[Uuid],
    mut take: impl FnMut(R),
) -> Result<(), Error>
where
    R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
{
    let mut rows = sqlx::query_as::<_, R>(statement).bind(ids).fetch(conn);
    while let Some(row) = rows.try_next().await.map_err(Error::doing("read a run's rows"))? {
        take(row);
    }
    Ok(())
}

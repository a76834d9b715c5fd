//! Where the steps of a run stand, as readers see them. Written by commits only.

use std::ops::Range;

use maestro_engine::shard::commit::{DispatchRow, StepRow};
use maestro_schemas::api::steps::ItemCounts;
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use sqlx::PgExecutor;

use super::Error;
use super::number::{int_at_most, unsigned};
use super::records::{DispatchRecord, StepRecord};

/// How far a fan-out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FanoutSight {
    /// The node's index.
    pub node: u32,
    /// Its items.
    pub counts: ItemCounts,
    /// How many of them were cancelled or skipped.
    pub dropped: u32,
}

const CONCLUDED: &str = "
  select run, node, item, visit, batch, state, reason, blocks, ended_at_ms,
         outputs::text as outputs, artifacts::text as artifacts
    from step s
   where run = $1 and node >= $2 and node < $3
     and not exists (select from fanout f where f.run = s.run and f.node = s.node)
   order by node, item, visit";

const LIVE: &str = "
  select run, node, item, visit, shard, number, epoch, lapses, pool, project, priority,
         decided_at_ms
    from dispatch
   where run = $1 and node >= $2 and node < $3
   order by node, item, visit limit $4";

const FANOUTS: &str = "
  select f.node, f.count,
         coalesce(bit_count(f.reused), 0) + a.ended + s.ended,
         a.failed + s.failed, d.live, a.dropped + s.dropped
    from fanout f
    cross join lateral (
      select count(*) filter (where state <> 'waiting') as ended,
             count(*) filter (where state = 'failed') as failed,
             count(*) filter (where state in ('cancelled', 'skipped')) as dropped
        from attempt where run = f.run and node = f.node) a
    cross join lateral (
      select count(*) as ended, count(*) filter (where state = 'failed') as failed,
             count(*) filter (where state in ('cancelled', 'skipped')) as dropped
        from step where run = f.run and node = f.node) s
    cross join lateral (
      select count(*) as live from dispatch where run = f.run and node = f.node) d
   where f.run = $1 and f.node >= $2 and f.node < $3
   order by f.node";

const TAKEN_OVER: &str = "
  select f.node, r.created_at_ms from fanout f join run r on r.id = f.run
   where f.run = $1 and bit_count(f.reused) > 0 order by f.node";

const FAILED: &str = "
  select node, item, visit from attempt where run = $1 and visit = 0 and state = 'failed'
  union
  select node, item, visit from step where run = $1 and visit = 0 and state = 'failed'
  order by 1, 2, 3 limit $2";

/// Steps of some nodes that ended without an attempt; a fan-out's items are left out.
pub async fn concluded(
    db: impl PgExecutor<'_>,
    run: RunId,
    nodes: Range<u32>,
) -> Result<Vec<StepRow>, Error> {
    let rows: Vec<StepRecord> = sqlx::query_as(CONCLUDED)
        .bind(run.uuid())
        .bind(int_at_most(nodes.start))
        .bind(int_at_most(nodes.end))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read steps"))?;
    rows.into_iter().map(StepRecord::row).collect()
}

/// How a step ended without an attempt, and why, if it did.
pub async fn conclusion(
    db: impl PgExecutor<'_>,
    run: RunId,
    step: StepAddress,
) -> Result<Option<(String, String)>, Error> {
    sqlx::query_as(
        "select state, reason from step where run = $1 and node = $2 and item = $3 and visit = 0",
    )
    .bind(run.uuid())
    .bind(int_at_most(step.node))
    .bind(int_at_most(step.item))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("read how a step ended"))
}

/// When a step's first attempt was decided, in milliseconds since 1970, if it was.
pub async fn begun_at_ms(
    db: impl PgExecutor<'_>,
    run: RunId,
    step: StepAddress,
) -> Result<Option<u64>, Error> {
    let at: Option<i64> = sqlx::query_scalar(
        "select min(decided_at_ms) from (
           select decided_at_ms from attempt
            where run = $1 and node = $2 and item = $3 and visit = 0
           union all
           select decided_at_ms from dispatch
            where run = $1 and node = $2 and item = $3 and visit = 0) begun",
    )
    .bind(run.uuid())
    .bind(int_at_most(step.node))
    .bind(int_at_most(step.item))
    .fetch_one(db)
    .await
    .map_err(Error::doing("read when a step began"))?;
    at.map(|at| unsigned("decided_at_ms", at)).transpose()
}

/// The fan-outs of which a run took over items from the run before it, with when it began, in
/// milliseconds since 1970.
pub async fn taken_over(db: impl PgExecutor<'_>, run: RunId) -> Result<Vec<(u32, u64)>, Error> {
    let rows: Vec<(i32, i64)> = sqlx::query_as(TAKEN_OVER)
        .bind(run.uuid())
        .fetch_all(db)
        .await
        .map_err(Error::doing("look for items that were taken over"))?;
    rows.into_iter()
        .map(|(node, at)| Ok((unsigned("fanout.node", node)?, unsigned("created_at_ms", at)?)))
        .collect()
}

/// Live attempts of some nodes, items of fan-outs included.
pub async fn live(
    db: impl PgExecutor<'_>,
    run: RunId,
    nodes: Range<u32>,
    count_max: u16,
) -> Result<Vec<DispatchRow>, Error> {
    let rows: Vec<DispatchRecord> = sqlx::query_as(LIVE)
        .bind(run.uuid())
        .bind(int_at_most(nodes.start))
        .bind(int_at_most(nodes.end))
        .bind(i32::from(count_max))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read live attempts"))?;
    rows.into_iter().map(DispatchRecord::row).collect()
}

/// The number of a step's live attempt, if it has one.
pub async fn one_live(
    db: impl PgExecutor<'_>,
    run: RunId,
    step: StepAddress,
) -> Result<Option<u32>, Error> {
    let number: Option<i32> = sqlx::query_scalar(
        "select number from dispatch where run = $1 and node = $2 and item = $3 and visit = $4",
    )
    .bind(run.uuid())
    .bind(int_at_most(step.node))
    .bind(int_at_most(step.item))
    .bind(int_at_most(step.visit))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("read a live attempt"))?;
    number.map(|number| unsigned("dispatch.number", number)).transpose()
}

/// How far the fan-outs among some nodes are.
pub async fn fanouts(
    db: impl PgExecutor<'_>,
    run: RunId,
    nodes: Range<u32>,
) -> Result<Vec<FanoutSight>, Error> {
    let rows: Vec<(i32, i32, i64, i64, i64, i64)> = sqlx::query_as(FANOUTS)
        .bind(run.uuid())
        .bind(int_at_most(nodes.start))
        .bind(int_at_most(nodes.end))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read fan-outs"))?;
    rows.into_iter()
        .map(|(node, total, ended, failed, live, dropped)| {
            Ok(FanoutSight {
                node: unsigned("fanout.node", node)?,
                counts: ItemCounts {
                    total: unsigned("fanout.count", total)?,
                    ended: unsigned("items ended", ended)?,
                    failed: unsigned("items failed", failed)?,
                    live: unsigned("items live", live)?,
                },
                dropped: unsigned("items dropped", dropped)?,
            })
        })
        .collect()
}

/// Steps of a run that failed, in the plan's order, but for visits that make something again; one
/// more than `count_max` where there are more.
pub async fn failed(
    db: impl PgExecutor<'_>,
    run: RunId,
    count_max: usize,
) -> Result<Vec<StepAddress>, Error> {
    let rows: Vec<(i32, i32, i32)> = sqlx::query_as(FAILED)
        .bind(run.uuid())
        .bind(i64::try_from(count_max).unwrap_or(i64::MAX).saturating_add(1))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read failed steps"))?;
    rows.into_iter()
        .map(|(node, item, visit)| {
            Ok(StepAddress {
                node: unsigned("node", node)?,
                item: unsigned("item", item)?,
                visit: unsigned("visit", visit)?,
            })
        })
        .collect()
}

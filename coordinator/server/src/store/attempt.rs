//! Attempts that ended, as readers see them. Written by commits only.

use std::ops::Range;

use maestro_engine::shard::commit::AttemptRow;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use sqlx::PgExecutor;

use super::number::{int_at_most, unsigned};
use super::records::AttemptRecord;
use super::{Error, json};

/// The most rows of which [`artifacts`] gives what they made.
pub const ARTIFACT_ROWS_MAX: i32 = 20_000;

/// Where a page of attempts begins: after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it was decided, by the shard's clock.
    pub decided_at_ms: u64,
    /// The step.
    pub step: StepAddress,
    /// The attempt's number.
    pub number: u32,
}

/// The columns of an attempt, of the attempts that the rest picks.
macro_rules! attempts {
    ($outputs:literal, $distinct:literal, $rest:literal) => {
        concat!(
            "select ",
            $distinct,
            " run, node, item, visit, number, shard, epoch, batch, state, outcome, decided_at_ms,
              ended_at_ms, execution, worker, wall_ms, cpu_ms, cost_microusd,
              failure::text as failure, ",
            $outputs,
            " as outputs, artifacts::text as artifacts from attempt a where run = $1 ",
            $rest
        )
    };
}

const LATEST: &str = attempts!(
    "outputs::text",
    "distinct on (node, item, visit)",
    "and node >= $2 and node < $3
     and not exists (select from fanout f where f.run = a.run and f.node = a.node)
     order by node, item, visit, number desc"
);

const PAGE: &str = attempts!(
    "null::text",
    "",
    "and (decided_at_ms, node, item, visit, number) > ($2, $3, $4, $5, $6)
     order by decided_at_ms, node, item, visit, number limit $7"
);

const ONE: &str = attempts!(
    "null::text",
    "",
    "and node = $2 and item = $3 and visit = $4 and ($5::int is null or number = $5)
     order by number desc limit 1"
);

// A node that was executed again made what its last visit that succeeded made.
const ARTIFACTS: &str = "
  select distinct on (node, item) node, item, visit, artifacts::text from (
    select node, item, visit, state, artifacts from attempt
     where run = $1 and artifacts is not null and state <> 'waiting'
    union all
    select node, item, visit, state, artifacts from step
     where run = $1 and artifacts is not null) made
  order by node, item, state in ('succeeded', 'cached') desc, visit desc limit $2";

/// The last attempt of each step of some nodes; those of a fan-out's items are left out.
pub async fn latest(
    db: impl PgExecutor<'_>,
    run: RunId,
    nodes: Range<u32>,
) -> Result<Vec<AttemptRow>, Error> {
    let rows: Vec<AttemptRecord> = sqlx::query_as(LATEST)
        .bind(run.uuid())
        .bind(int_at_most(nodes.start))
        .bind(int_at_most(nodes.end))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read steps' last attempts"))?;
    rows.into_iter().map(AttemptRecord::row).collect()
}

/// A run's attempts in the order of their decision, without outputs.
pub async fn page(
    db: impl PgExecutor<'_>,
    run: RunId,
    after: Option<Place>,
    count_max: u16,
) -> Result<Vec<AttemptRow>, Error> {
    let after = after.map(|place| {
        let step = place.step;
        let at = i64::try_from(place.decided_at_ms).unwrap_or(i64::MAX);
        (
            at,
            int_at_most(step.node),
            int_at_most(step.item),
            int_at_most(step.visit),
            int_at_most(place.number),
        )
    });
    let (at, node, item, visit, number) = after.unwrap_or((-1, 0, 0, 0, 0));
    let rows: Vec<AttemptRecord> = sqlx::query_as(PAGE)
        .bind(run.uuid())
        .bind(at)
        .bind(node)
        .bind(item)
        .bind(visit)
        .bind(number)
        .bind(i32::from(count_max))
        .fetch_all(db)
        .await
        .map_err(Error::doing("list attempts"))?;
    rows.into_iter().map(AttemptRecord::row).collect()
}

/// One attempt of a step, the last where no number is given, without outputs.
pub async fn one(
    db: impl PgExecutor<'_>,
    run: RunId,
    step: StepAddress,
    number: Option<u32>,
) -> Result<Option<AttemptRow>, Error> {
    let row: Option<AttemptRecord> = sqlx::query_as(ONE)
        .bind(run.uuid())
        .bind(int_at_most(step.node))
        .bind(int_at_most(step.item))
        .bind(int_at_most(step.visit))
        .bind(number.map(int_at_most))
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read an attempt"))?;
    row.map(AttemptRecord::row).transpose()
}

/// What the steps of a run made, of at most [`ARTIFACT_ROWS_MAX`] steps, in the plan's order.
pub async fn artifacts(
    db: impl PgExecutor<'_>,
    run: RunId,
) -> Result<Vec<(StepAddress, Vec<Artifact>)>, Error> {
    let rows: Vec<(i32, i32, i32, String)> = sqlx::query_as(ARTIFACTS)
        .bind(run.uuid())
        .bind(ARTIFACT_ROWS_MAX)
        .fetch_all(db)
        .await
        .map_err(Error::doing("list artifacts"))?;
    rows.into_iter()
        .map(|(node, item, visit, artifacts)| {
            let step = StepAddress {
                node: unsigned("node", node)?,
                item: unsigned("item", item)?,
                visit: unsigned("visit", visit)?,
            };
            Ok((step, json::value("artifacts", &artifacts)?))
        })
        .collect()
}

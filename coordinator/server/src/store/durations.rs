//! How long the tests of a pipeline's steps took, of the rows of [`super::tested`].
//!
//! Only runs that executed a step tell of it: one that took over a known result says what an older one
//! says already. A report that is lost tells nothing, so it counts as none.

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::tested::TESTS_MEDIA_TYPE;
use sqlx::PgExecutor;

use super::Error;
use super::number::unsigned;

/// Of how many of a step's last runs durations are told.
pub const RUNS_TOLD: i64 = 10;

/// How many of a pipeline's last runs are looked through for those that executed tests.
const RUNS_SEEN: i64 = 100;

/// The most durations that are told.
const DURATIONS_MAX: i64 = 50_000;

const LAST_RUNS: &str = "
  select id from
    (select id from run
      where project = $1 and pipeline = $2 and state in ('succeeded', 'failed', 'cancelled')
      order by id desc limit $3) seen
   where exists (select from attempt a where a.run = seen.id and a.artifacts::text like '%' || $4 || '%'
                    and not exists (select from test_report l
                                     where l.run = a.run and l.node = a.node and l.item = a.item
                                       and l.visit = a.visit and l.number = a.number and l.lost))
   order by id desc limit $5";

// A run counts once for each name, whichever of its attempts and copies told of it last.
const DURATIONS: &str = "
  with recent as (
    select r.step, r.run, dense_rank() over (partition by r.step order by max(r.ended_at_ms) desc) as place
      from test_report r where r.project = $1 and r.pipeline = $2 and r.number > 0
       and not r.lost
     group by r.step, r.run),
  told as (
    select r.step, r.run, coalesce(c.file, c.class) as name, sum(c.duration_us) as took
      from recent
      join test_report r on r.run = recent.run and r.step = recent.step
      join test_case c on c.run = r.run and c.node = r.node and c.item = r.item and c.visit = r.visit
                      and c.number = r.number
     where recent.place <= $3 and r.project = $1 and r.pipeline = $2 and r.number > 0
       and c.duration_us is not null and coalesce(c.file, c.class) <> ''
       and not exists (select from test_report l
                        where l.run = r.run and l.node = r.node and l.item = r.item
                          and (l.visit, l.number) > (r.visit, r.number) and not l.lost)
     group by 1, 2, 3)
  select step, name,
         least(percentile_disc(0.5) within group (order by took), 9223372036854775807)::bigint
    from told group by step, name order by step, name limit $4";

/// The youngest runs of a pipeline that have ended and executed a step that told of tests; those whose
/// reports are all known to be lost are left out.
pub async fn last_runs(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    pipeline: &str,
) -> Result<Vec<RunId>, Error> {
    let rows: Vec<uuid::Uuid> = sqlx::query_scalar(LAST_RUNS)
        .bind(project.as_str())
        .bind(pipeline)
        .bind(RUNS_SEEN)
        .bind(TESTS_MEDIA_TYPE)
        .bind(RUNS_TOLD)
        .fetch_all(db)
        .await
        .map_err(Error::doing("look for a pipeline's last runs"))?;
    Ok(rows.into_iter().map(RunId::from_uuid).collect())
}

/// For each step of a pipeline, how long its tests took: the middle one of its last runs, in
/// microseconds, by file or else by class.
pub async fn durations(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    pipeline: &str,
) -> Result<BTreeMap<String, BTreeMap<String, u64>>, Error> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(DURATIONS)
        .bind(project.as_str())
        .bind(pipeline)
        .bind(RUNS_TOLD)
        .bind(DURATIONS_MAX)
        .fetch_all(db)
        .await
        .map_err(Error::doing("read how long tests took"))?;
    let mut steps: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for (step, name, duration_us) in rows {
        let duration = unsigned("duration_us", duration_us)?;
        steps.entry(step).or_default().insert(name, duration);
    }
    Ok(steps)
}

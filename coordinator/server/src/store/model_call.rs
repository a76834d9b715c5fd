//! What calls of models took and cost, summed up. Written by commits only; old rows go.

use std::time::Duration;

use maestro_schemas::api::cost::{By, CostRow};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::{FromRow, PgExecutor};

use super::Error;
use super::number::unsigned;

/// Which calls are summed up, and how.
#[derive(Debug, Clone)]
pub struct Filter {
    /// What a row is about.
    pub by: By,
    /// Only of this run.
    pub run: Option<RunId>,
    /// From this time on, in milliseconds since 1970.
    pub since_ms: u64,
    /// Before this time.
    pub until_ms: u64,
    /// The most rows, the dearest first; of days the last ones.
    pub rows_max: u16,
}

#[derive(FromRow)]
struct Record {
    about: String,
    calls: i64,
    tasks: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_microusd: i64,
    unsettled: i64,
    offline: i64,
}

/// The sums, the dearest first; of days the last ones, in their order.
pub async fn sums(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    filter: &Filter,
) -> Result<Vec<CostRow>, Error> {
    let records: Vec<Record> = sqlx::query_as(
        "select case $2 when 'model' then model when 'deployment' then coalesce(deployment, '-')
                        when 'run' then run::text when 'pipeline' then pipeline
                        when 'stage' then pipeline || ' ' || stage
                        when 'step' then pipeline || ' ' || step
                        when 'prompt' then coalesce('sha256:' || encode(prompt, 'hex'), '-')
                        when 'day' then to_char(to_timestamp(at_ms / 1000) at time zone 'UTC', 'YYYY-MM-DD')
                        else project end as about,
                count(*) as calls, count(distinct (run, node, item)) as tasks,
                sum(input_tokens)::bigint as input_tokens,
                sum(output_tokens)::bigint as output_tokens,
                sum(cost_microusd)::bigint as cost_microusd,
                count(*) filter (where not settled) as unsettled,
                count(*) filter (where offline) as offline
           from model_call
          where not unmade and project = $1 and at_ms >= $3 and at_ms < $4 and ($5::uuid is null or run = $5)
          group by 1
          order by case when $2 = 'day' then max(at_ms) else sum(cost_microusd) end desc, 1 limit $6",
    )
    .bind(project.as_str())
    .bind(filter.by.as_str())
    .bind(i64::try_from(filter.since_ms).unwrap_or(i64::MAX))
    .bind(i64::try_from(filter.until_ms).unwrap_or(i64::MAX))
    .bind(filter.run.map(RunId::uuid))
    .bind(i32::from(filter.rows_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("sum up what models cost"))?;
    let mut rows: Vec<CostRow> =
        records.into_iter().map(|record| record.row(filter.by)).collect::<Result<_, _>>()?;
    if filter.by == By::Day {
        rows.reverse();
    }
    Ok(rows)
}

/// Deletes calls that are older than `age`, the oldest first, at most so many; answers how many.
pub async fn expire(db: impl PgExecutor<'_>, age: Duration, count_max: u16) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from model_call where (execution, ordinal) in (
           select execution, ordinal from model_call
            where at_ms < (extract(epoch from now()) * 1000)::bigint - $1
            order by at_ms limit $2 for update skip locked)",
    )
    .bind(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
    .bind(i32::from(count_max))
    .execute(db)
    .await
    .map_err(Error::doing("let old calls go"))?;
    Ok(done.rows_affected())
}

impl Record {
    fn row(self, by: By) -> Result<CostRow, Error> {
        let about = match (by, self.about.parse::<uuid::Uuid>()) {
            (By::Run, Ok(id)) => RunId::from_uuid(id).to_string(),
            _ => self.about,
        };
        Ok(CostRow {
            about,
            calls: unsigned("calls", self.calls)?,
            tasks: unsigned("tasks", self.tasks)?,
            input_tokens: unsigned("input_tokens", self.input_tokens)?,
            output_tokens: unsigned("output_tokens", self.output_tokens)?,
            cost_microusd: unsigned("cost_microusd", self.cost_microusd)?,
            unsettled: unsigned("unsettled", self.unsettled)?,
            offline: unsigned("offline", self.offline)?,
        })
    }
}

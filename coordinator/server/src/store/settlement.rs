//! What gateways tell of calls whose worker could not say what they cost.

use std::time::Duration;

use maestro_schemas::api::cost::Settlement;
use maestro_schemas::name::ProjectName;
use sqlx::PgExecutor;

use super::Error;

/// Keeps what a gateway tells. The first word about a call stays.
pub async fn keep(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    told: &[Settlement],
) -> Result<(), Error> {
    let of = |number: fn(&Settlement) -> u64| -> Vec<i64> {
        told.iter().map(|one| i64::try_from(number(one)).unwrap_or(i64::MAX)).collect()
    };
    sqlx::query(
        "insert into settlement (project, execution, ordinal, input_tokens, output_tokens, cost_microusd)
         select $1, * from unnest($2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
         on conflict (project, execution, ordinal) do nothing",
    )
    .bind(project.as_str())
    .bind(told.iter().map(|one| one.execution.uuid()).collect::<Vec<_>>())
    .bind(told.iter().map(|one| i32::try_from(one.ordinal).unwrap_or(i32::MAX)).collect::<Vec<_>>())
    .bind(of(|one| one.input_tokens))
    .bind(of(|one| one.output_tokens))
    .bind(of(|one| one.cost_microusd))
    .execute(db)
    .await
    .map_err(Error::doing("keep what a gateway tells of calls"))?;
    Ok(())
}

/// Settles the calls that count at their most by what was told of them; what was told goes with that,
/// or once it is older than `age`. Answers how many were settled.
pub async fn apply(db: impl PgExecutor<'_>, age: Duration) -> Result<u64, Error> {
    let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    // Rows are locked in the order in which commits lock them.
    let settled: i64 = sqlx::query_scalar(
        "with due as (
           select c.execution, c.ordinal, s.input_tokens, s.output_tokens, s.cost_microusd
             from model_call c
             join settlement s using (project, execution, ordinal)
            where not c.settled
            order by c.execution, c.ordinal for update of c),
         settled as (
           update model_call c
              set input_tokens = due.input_tokens, output_tokens = due.output_tokens,
                  cost_microusd = due.cost_microusd, settled = true
             from due
            where c.execution = due.execution and c.ordinal = due.ordinal
           returning c.project, c.execution, c.ordinal),
         done as (
           delete from settlement s using model_call c
            where c.project = s.project and c.execution = s.execution and c.ordinal = s.ordinal
              and (c.settled or exists (select from due d
                                         where d.execution = s.execution and d.ordinal = s.ordinal))),
         old as (
           delete from settlement where told_at < now() - $1 * interval '1 second')
         select count(*) from settled",
    )
    .bind(seconds)
    .fetch_one(db)
    .await
    .map_err(Error::doing("settle calls"))?;
    Ok(u64::try_from(settled).unwrap_or(0))
}

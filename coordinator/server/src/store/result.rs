//! Results of `pure` steps by key. Written by commits; the first one of a key stays.

use std::collections::BTreeMap;

use maestro_engine::shard::request::KnownResult;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use sqlx::PgExecutor;

use super::{Error, json};

/// The result of a key, if it is known. Whether its artifacts are still there is the caller's to see.
pub async fn by_key(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    key: Digest,
) -> Result<Option<KnownResult>, Error> {
    let row: Option<(uuid::Uuid, String, String)> = sqlx::query_as(
        "select run, outputs::text, artifacts::text from result where project = $1 and key = $2",
    )
    .bind(project.as_str())
    .bind(key.as_bytes().as_slice())
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for a result"))?;
    row.map(|(run, outputs, artifacts)| {
        Ok(KnownResult {
            run: RunId::from_uuid(run),
            outputs: json::value("result.outputs", &outputs)?,
            artifacts: json::value("result.artifacts", &artifacts)?,
        })
    })
    .transpose()
}

/// Which of `keys` have a result, with its artifacts.
pub async fn known(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    keys: &[Digest],
) -> Result<BTreeMap<Digest, KnownResult>, Error> {
    let keys: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes().as_slice()).collect();
    let rows: Vec<(Vec<u8>, uuid::Uuid, String, String)> = sqlx::query_as(
        "select key, run, outputs::text, artifacts::text
           from result where project = $1 and key = any ($2)",
    )
    .bind(project.as_str())
    .bind(keys)
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for results"))?;
    rows.into_iter()
        .map(|(key, run, outputs, artifacts)| {
            let result = KnownResult {
                run: RunId::from_uuid(run),
                outputs: json::value("result.outputs", &outputs)?,
                artifacts: json::value("result.artifacts", &artifacts)?,
            };
            Ok((json::digest("result.key", &key)?, result))
        })
        .collect()
}

/// For each step of a pipeline that ever had a result, what went into the key of the latest one.
pub async fn latest_parts(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    pipeline: &str,
    steps: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, Digest>>, Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select wanted.step, latest.parts::text
           from unnest($3::text[]) as wanted (step)
           cross join lateral (
             select parts from result
              where project = $1 and pipeline = $2 and step = wanted.step
              order by made_at desc limit 1) as latest",
    )
    .bind(project.as_str())
    .bind(pipeline)
    .bind(steps)
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for earlier results"))?;
    rows.into_iter().map(|(step, parts)| Ok((step, json::value("result.parts", &parts)?))).collect()
}

/// What went into the key of a step's latest result that was made before a time, and the run that
/// made it; `run` is not looked at.
pub async fn parts_before(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    (pipeline, step): (&str, &str),
    (run, before_ms): (RunId, u64),
) -> Result<Option<(RunId, BTreeMap<String, Digest>)>, Error> {
    let row: Option<(uuid::Uuid, String)> = sqlx::query_as(
        "select run, parts::text from result
          where project = $1 and pipeline = $2 and step = $3 and run <> $4
            and made_at <= to_timestamp($5::float8 / 1000)
          order by made_at desc limit 1",
    )
    .bind(project.as_str())
    .bind(pipeline)
    .bind(step)
    .bind(run.uuid())
    .bind(before_ms as f64)
    .fetch_optional(db)
    .await
    .map_err(Error::doing("look for an earlier result"))?;
    row.map(|(run, parts)| Ok((RunId::from_uuid(run), json::value("result.parts", &parts)?)))
        .transpose()
}

/// The run that made the result of a key.
pub async fn maker(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    key: Digest,
) -> Result<Option<RunId>, Error> {
    let run: Option<uuid::Uuid> =
        sqlx::query_scalar("select run from result where project = $1 and key = $2")
            .bind(project.as_str())
            .bind(key.as_bytes().as_slice())
            .fetch_optional(db)
            .await
            .map_err(Error::doing("look for who made a result"))?;
    Ok(run.map(RunId::from_uuid))
}

/// Forgets results whose artifacts are gone, so that their steps run again. `of` is the run that
/// made the result: a newer one of the same key is left alone.
pub async fn forget(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    key: Digest,
    of: RunId,
) -> Result<(), Error> {
    sqlx::query("delete from result where project = $1 and key = $2 and run = $3")
        .bind(project.as_str())
        .bind(key.as_bytes().as_slice())
        .bind(of.uuid())
        .execute(db)
        .await
        .map_err(Error::doing("forget a result"))?;
    Ok(())
}

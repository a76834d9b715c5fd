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

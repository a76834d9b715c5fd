//! Which objects a project may read by digest.

use maestro_schemas::artifact::TREE_MEDIA_TYPE;
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use sqlx::PgExecutor;

use super::Error;

/// How a project came by an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Whether an attempt of it names the object as a directory: what that holds is its too.
    pub is_made_tree: bool,
}

const CLAIM: &str = "
  with named as (
    select a.artifacts from attempt a join run r on r.id = a.run
     where r.project = $1 and a.artifacts is not null and artifact_digests(a.artifacts) @> array[$3]
    union all
    select s.artifacts from step s join run r on r.id = s.run
     where r.project = $1 and s.artifacts is not null and artifact_digests(s.artifacts) @> array[$3])
  select exists (select from named)
           or exists (select from project_object where project = $1 and digest = $2),
         exists (select from named n, json_array_elements(n.artifacts) each
                  where each ->> 'digest' = $3 and each ->> 'media_type' = $4)";

/// Whether and how a project may read an object.
pub async fn claim(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digest: Digest,
) -> Result<Option<Claim>, Error> {
    let (may_read, is_made_tree): (bool, bool) = sqlx::query_as(CLAIM)
        .bind(project.as_str())
        .bind(digest.as_bytes().as_slice())
        .bind(digest.to_string())
        .bind(TREE_MEDIA_TYPE)
        .fetch_one(db)
        .await
        .map_err(Error::doing("look whose object it is"))?;
    Ok(may_read.then_some(Claim { is_made_tree }))
}

/// Notes that objects, each with its size in bytes, are a project's.
pub async fn hold(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    objects: &[(Digest, u64)],
) -> Result<(), Error> {
    let digests: Vec<&[u8]> =
        objects.iter().map(|(digest, _)| digest.as_bytes().as_slice()).collect();
    let sizes: Vec<i64> =
        objects.iter().map(|(_, size)| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    sqlx::query(
        "insert into project_object (project, digest, size)
         select distinct on (digest) $1, digest, size
           from unnest($2::bytea[], $3::bigint[]) as x (digest, size)
         on conflict (project, digest) do update set held_at = now()",
    )
    .bind(project.as_str())
    .bind(digests)
    .bind(sizes)
    .execute(db)
    .await
    .map_err(Error::doing("note whose objects they are"))?;
    Ok(())
}

/// Which of `digests` are noted as a project's.
pub async fn held(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digests: &[Digest],
) -> Result<Vec<Digest>, Error> {
    let bytes: Vec<&[u8]> = digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "select digest from project_object where project = $1 and digest = any ($2)",
    )
    .bind(project.as_str())
    .bind(bytes)
    .fetch_all(db)
    .await
    .map_err(Error::doing("look whose objects they are"))?;
    rows.iter().map(|bytes| super::json::digest("project_object.digest", bytes)).collect()
}

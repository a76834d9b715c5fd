//! Which objects a project may read by digest, and which of them are kept for it until rows of plans
//! and runs name them.
//!
//! Called by the api and by the collector. A row that is younger than the age of collection keeps
//! its object. **Who relies on an upload first makes its row young, and then looks whether the
//! object is there.** The collector, for a page of objects, [shuts out](shut_out) whoever would
//! change rows, [forgets](forget) the old ones, and deletes the objects that nobody holds before it
//! lets the others in. So a row was made young either before, and the object stays; or after, and
//! then the look sees what was deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::artifact::TREE_MEDIA_TYPE;
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use sqlx::{PgConnection, PgExecutor};

use super::{Error, json};

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
    let digests: Vec<Digest> = objects.iter().map(|(digest, _)| *digest).collect();
    let sizes: Vec<i64> =
        objects.iter().map(|(_, size)| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    sqlx::query(
        "insert into project_object (project, digest, size)
         select distinct on (digest) $1, digest, size
           from unnest($2::bytea[], $3::bigint[]) as x (digest, size)
         on conflict (project, digest) do update set held_at = now()",
    )
    .bind(project.as_str())
    .bind(bytes(&digests))
    .bind(sizes)
    .execute(db)
    .await
    .map_err(Error::doing("note whose objects they are"))?;
    Ok(())
}

/// Makes rows of a project young that are older than `older`; the others stay as they are.
///
/// In the order of digests, as [`hold`] does: two that meet wait for each other, and never both.
pub async fn renew(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digests: &[Digest],
    older: Duration,
) -> Result<(), Error> {
    sqlx::query(
        "with old as (
           select project, digest from project_object
            where project = $1 and digest = any ($2)
              and held_at < now() - make_interval(secs => $3)
            order by digest for update)
         update project_object o set held_at = now()
           from old where o.project = old.project and o.digest = old.digest",
    )
    .bind(project.as_str())
    .bind(bytes(digests))
    .bind(older.as_secs_f64())
    .execute(db)
    .await
    .map_err(Error::doing("keep objects for longer"))?;
    Ok(())
}

/// Which of `digests` are noted as a project's.
pub async fn held(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    digests: &[Digest],
) -> Result<Vec<Digest>, Error> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar(
        "select digest from project_object where project = $1 and digest = any ($2)",
    )
    .bind(project.as_str())
    .bind(bytes(digests))
    .fetch_all(db)
    .await
    .map_err(Error::doing("look whose objects they are"))?;
    rows.iter().map(|bytes| json::digest("project_object.digest", bytes)).collect()
}

/// A time by Postgres' clock, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Moment(f64);

/// The time that lies `age` back.
pub async fn moment(db: impl PgExecutor<'_>, age: Duration) -> Result<Moment, Error> {
    sqlx::query_scalar(
        "select extract(epoch from clock_timestamp() - make_interval(secs => $1))::float8",
    )
    .bind(age.as_secs_f64())
    .fetch_one(db)
    .await
    .map(Moment)
    .map_err(Error::doing("ask for the time"))
}

/// A row, in the order of projects and digests.
#[derive(Debug, Clone, Default)]
pub struct Place {
    project: String,
    digest: Vec<u8>,
}

/// Objects of at most `count_max` rows after `after` that are older than `before`, and the last of
/// the rows; nothing where there are no more.
pub async fn old(
    db: impl PgExecutor<'_>,
    after: &Place,
    before: Moment,
    count_max: u16,
) -> Result<Option<(Vec<Digest>, Place)>, Error> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select project, digest from project_object
          where (project, digest) > ($1, $2) and held_at < to_timestamp($3)
          order by project, digest limit $4",
    )
    .bind(after.project.as_str())
    .bind(after.digest.as_slice())
    .bind(before.0)
    .bind(i32::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("look for objects that were held long ago"))?;
    let digest = |(_, bytes): &(String, Vec<u8>)| json::digest("project_object.digest", bytes);
    let digests = rows.iter().map(digest).collect::<Result<Vec<Digest>, Error>>()?;
    let last = rows.into_iter().next_back();
    Ok(last.map(|(project, digest)| (digests, Place { project, digest })))
}

/// Lets nobody else change rows until the transaction ends; they are read all the same.
pub async fn shut_out(transaction: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("lock table project_object in share row exclusive mode")
        .execute(transaction)
        .await
        .map_err(Error::doing("keep others from holding objects"))?;
    Ok(())
}

/// Forgets whose some objects were before `before`; answers how many rows that were.
pub async fn forget(
    transaction: &mut PgConnection,
    digests: &[Digest],
    before: Moment,
) -> Result<u64, Error> {
    let done = sqlx::query(
        "delete from project_object where digest = any ($1) and held_at < to_timestamp($2)",
    )
    .bind(bytes(digests))
    .bind(before.0)
    .execute(transaction)
    .await
    .map_err(Error::doing("forget whose objects they were"))?;
    Ok(done.rows_affected())
}

/// Which of `digests` any project holds.
pub async fn held_by_any(
    transaction: &mut PgConnection,
    digests: &[Digest],
) -> Result<BTreeSet<Digest>, Error> {
    let rows: Vec<Vec<u8>> =
        sqlx::query_scalar("select distinct digest from project_object where digest = any ($1)")
            .bind(bytes(digests))
            .fetch_all(transaction)
            .await
            .map_err(Error::doing("look whether objects are anybody's"))?;
    rows.iter().map(|bytes| json::digest("project_object.digest", bytes)).collect()
}

fn bytes(digests: &[Digest]) -> Vec<&[u8]> {
    digests.iter().map(|digest| digest.as_bytes().as_slice()).collect()
}

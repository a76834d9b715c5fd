//! Data keys of secrets, and which key-encryption key wraps each.

use maestro_evidence::secret::kek::{Context, Wrapped};
use maestro_schemas::name::ProjectName;
use sqlx::PgExecutor;

use super::Error;
use super::number::{int, unsigned};

/// Data keys of a project that are wrapped by another key than `kek`, behind `after`, at most `count_max`.
pub async fn of_others(
    db: impl PgExecutor<'_>,
    (project, kek): (&ProjectName, &str),
    after: Option<(String, u32)>,
    count_max: u16,
) -> Result<Vec<(Context, Wrapped)>, Error> {
    let rows: Vec<(String, i32, String, Vec<u8>)> = sqlx::query_as(
        "select name, version, kek, wrapped_key from secret_version
          where project = $1 and state <> 'revoked' and kek <> $2
            and ($4::text is null or (name, version) > ($4, $5))
          order by name, version limit $3",
    )
    .bind(project.as_str())
    .bind(kek)
    .bind(i32::from(count_max))
    .bind(after.as_ref().map(|(name, _)| name.as_str()))
    .bind(after.as_ref().map(|(_, version)| i64::from(*version)))
    .fetch_all(db)
    .await
    .map_err(Error::doing("read data keys"))?;
    rows.into_iter()
        .map(|(name, version, kek, bytes)| {
            let version = unsigned("secret_version.version", version)?;
            let context = Context { project: project.to_string(), name, version };
            Ok((context, Wrapped { kek, bytes }))
        })
        .collect()
}

/// How many data keys of a project are wrapped by another key than `kek`.
pub async fn count_of_others(
    db: impl PgExecutor<'_>,
    project: &ProjectName,
    kek: &str,
) -> Result<u32, Error> {
    let count: i64 = sqlx::query_scalar(
        "select count(*) from secret_version
          where project = $1 and state <> 'revoked' and kek <> $2",
    )
    .bind(project.as_str())
    .bind(kek)
    .fetch_one(db)
    .await
    .map_err(Error::doing("count data keys"))?;
    unsigned("data keys", count)
}

/// Puts a data key in the place of the same one wrapped otherwise; false where that is not there any more.
pub async fn replace(
    db: impl PgExecutor<'_>,
    context: &Context,
    (former, new): (&Wrapped, &Wrapped),
) -> Result<bool, Error> {
    let number = |error| Error::unreadable("secret_version.version", error);
    let done = sqlx::query(
        "update secret_version set kek = $5, wrapped_key = $6
          where project = $1 and name = $2 and version = $3 and wrapped_key = $4",
    )
    .bind(&context.project)
    .bind(&context.name)
    .bind(int("secret_version.version", context.version).map_err(number)?)
    .bind(&former.bytes)
    .bind(&new.kek)
    .bind(&new.bytes)
    .execute(db)
    .await
    .map_err(Error::doing("keep a data key"))?;
    Ok(done.rows_affected() == 1)
}

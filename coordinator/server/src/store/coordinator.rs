//! Which coordinators live: each says so from time to time, and each reads who else did.

use std::time::Duration;

use maestro_schemas::codec::WIRE_VERSION;
use maestro_schemas::id::CoordinatorId;
use sqlx::PgExecutor;

use super::Error;
use super::number::unsigned;

/// A coordinator that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its name, the same after a restart.
    pub name: String,
    /// This start of it.
    pub incarnation: CoordinatorId,
    /// The newest version of messages and rows that it knows.
    pub version: u16,
}

/// Says that a coordinator lives.
pub async fn announce(
    db: impl PgExecutor<'_>,
    name: &str,
    incarnation: CoordinatorId,
) -> Result<(), Error> {
    sqlx::query(
        "insert into coordinator (name, incarnation, version) values ($1, $2, $3)
         on conflict (name) do update
           set incarnation = excluded.incarnation, version = excluded.version,
               seen_at = clock_timestamp()",
    )
    .bind(name)
    .bind(incarnation.uuid())
    .bind(i32::from(WIRE_VERSION))
    .execute(db)
    .await
    .map_err(Error::doing("announce a coordinator"))?;
    Ok(())
}

/// Says that a coordinator leaves, unless another start of it has come since.
pub async fn leave(
    db: impl PgExecutor<'_>,
    name: &str,
    incarnation: CoordinatorId,
) -> Result<(), Error> {
    sqlx::query("delete from coordinator where name = $1 and incarnation = $2")
        .bind(name)
        .bind(incarnation.uuid())
        .execute(db)
        .await
        .map_err(Error::doing("take leave of a coordinator"))?;
    Ok(())
}

/// The coordinators that were seen within `age_max`, by name.
pub async fn list(db: impl PgExecutor<'_>, age_max: Duration) -> Result<Vec<Presence>, Error> {
    let rows: Vec<(String, uuid::Uuid, i32)> = sqlx::query_as(
        "select name, incarnation, version from coordinator
          where seen_at > clock_timestamp() - $1 * interval '1 millisecond' order by name",
    )
    .bind(i32::try_from(age_max.as_millis()).unwrap_or(i32::MAX))
    .fetch_all(db)
    .await
    .map_err(Error::doing("list the coordinators"))?;
    rows.into_iter()
        .map(|(name, incarnation, version)| {
            Ok(Presence {
                name,
                incarnation: CoordinatorId::from_uuid(incarnation),
                version: unsigned("coordinator.version", version)?,
            })
        })
        .collect()
}

//! Who owns which shard: the lease rows.
//!
//! Only commits renew a lease ([`super::commit`]); here it is taken, given up and looked at.

use maestro_schemas::codec::WIRE_VERSION;
use maestro_schemas::id::CoordinatorId;
use sqlx::{PgConnection, PgExecutor};

use super::Error;
use super::commit::LEASE;
use super::number::unsigned;

/// A shard that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acquired {
    /// The new epoch.
    pub epoch: u64,
    /// The last batch that was committed.
    pub batch: u64,
    /// The shard's clock at that time.
    pub clock_ms: u64,
}

/// A shard's lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: u16,
    /// The coordinator's name, where somebody owns it.
    pub owner: Option<String>,
    /// The owner's epoch.
    pub epoch: u64,
    /// The last batch that was committed.
    pub batch: u64,
    /// Whether anybody may take it.
    pub is_free: bool,
    /// The form of its rows.
    pub version: u16,
}

/// Lays the cluster out for `wanted` shards, or finds that it is.
///
/// # Errors
/// [`Error::ShardCount`] where it is laid out for another number.
pub async fn ensure_shards(conn: &mut PgConnection, wanted: u16) -> Result<(), Error> {
    let found: i32 = sqlx::query_scalar("select ensure_shards($1)")
        .bind(i32::from(wanted))
        .fetch_one(conn)
        .await
        .map_err(Error::doing("lay out the shards"))?;
    let found = unsigned("shard count", found)?;
    if found == u32::from(wanted) {
        Ok(())
    } else {
        Err(Error::ShardCount { found, wanted: u32::from(wanted) })
    }
}

/// How many shards the cluster has; 0 before the first coordinator laid it out.
pub async fn count(db: impl PgExecutor<'_>) -> Result<u16, Error> {
    let found: i64 = sqlx::query_scalar("select count(*) from shard")
        .fetch_one(db)
        .await
        .map_err(Error::doing("count the shards"))?;
    unsigned("shard count", found)
}

/// Takes a shard that is free, expired, or bears this owner's name; always under a new epoch.
///
/// Waits for a commit in flight. Answers nothing where somebody else owns it, or where its rows
/// are newer than this build knows.
pub async fn acquire(
    db: impl PgExecutor<'_>,
    shard: u16,
    owner: &str,
    incarnation: CoordinatorId,
) -> Result<Option<Acquired>, Error> {
    let row: Option<(i64, i64, i64)> = sqlx::query_as(
        "update shard
            set owner = $2, incarnation = $3, epoch = epoch + 1,
                expires_at = clock_timestamp() + $4 * interval '1 millisecond'
          where id = $1 and version <= $5
            and (owner is null or owner = $2 or expires_at < clock_timestamp())
          returning epoch, batch, clock_ms",
    )
    .bind(i32::from(shard))
    .bind(owner)
    .bind(incarnation.uuid())
    .bind(i32::try_from(LEASE.as_millis()).unwrap_or(i32::MAX))
    .bind(i32::from(WIRE_VERSION))
    .fetch_optional(db)
    .await
    .map_err(Error::doing("take a shard"))?;
    let Some((epoch, batch, clock_ms)) = row else { return Ok(None) };
    Ok(Some(Acquired {
        epoch: unsigned("shard.epoch", epoch)?,
        batch: unsigned("shard.batch", batch)?,
        clock_ms: unsigned("shard.clock_ms", clock_ms)?,
    }))
}

/// Frees a shard at once; false where it is another epoch's.
pub async fn release(db: impl PgExecutor<'_>, shard: u16, epoch: u64) -> Result<bool, Error> {
    let done = sqlx::query(
        "update shard set owner = null, incarnation = null, expires_at = '-infinity'
          where id = $1 and epoch = $2",
    )
    .bind(i32::from(shard))
    .bind(i64::try_from(epoch).unwrap_or(i64::MAX))
    .execute(db)
    .await
    .map_err(Error::doing("free a shard"))?;
    Ok(done.rows_affected() == 1)
}

/// All shards, in order.
pub async fn list(db: impl PgExecutor<'_>) -> Result<Vec<Lease>, Error> {
    let rows: Vec<(i32, Option<String>, i64, i64, bool, i32)> = sqlx::query_as(
        "select id, owner, epoch, batch, owner is null or expires_at < clock_timestamp(), version
           from shard order by id",
    )
    .fetch_all(db)
    .await
    .map_err(Error::doing("list the shards"))?;
    rows.into_iter()
        .map(|(id, owner, epoch, batch, is_free, version)| {
            Ok(Lease {
                shard: unsigned("shard.id", id)?,
                owner,
                epoch: unsigned("shard.epoch", epoch)?,
                batch: unsigned("shard.batch", batch)?,
                is_free,
                version: unsigned("shard.version", version)?,
            })
        })
        .collect()
}

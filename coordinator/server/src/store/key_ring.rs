//! The list of keys as its root signed it, for whoever verifies. There is one row, and what stands in it is
//! believed by its signature only.

use maestro_evidence::key::ring::Trust;
use sqlx::{PgExecutor, PgPool};

use super::Error;

/// A signed list, and what it says.
#[derive(Debug, Clone)]
pub struct List {
    /// As its root signed it.
    pub bytes: Vec<u8>,
    /// The same, its signature verified.
    pub trust: Trust,
}

const INSERT: &str = "insert into key_ring (id, body) values (1, $1) on conflict (id) do nothing";
const LOCK: &str = "select body from key_ring where id = 1 for update";
const REPLACE: &str = "update key_ring set body = $1, put_at = now() where id = 1";

/// Keeps a list, unless a newer one of its root stands there.
pub async fn put(pool: &PgPool, list: &List) -> Result<(), Error> {
    let failed = Error::doing("keep the list of keys");
    let keep = async {
        let mut transaction = pool.begin().await?;
        sqlx::query(INSERT).bind(&list.bytes).execute(&mut *transaction).await?;
        let known: Vec<u8> = sqlx::query_scalar(LOCK).fetch_one(&mut *transaction).await?;
        let is_newer =
            read(known.clone()).is_some_and(|known| known.trust.is_newer_than(&list.trust));
        if known != list.bytes && !is_newer {
            sqlx::query(REPLACE).bind(&list.bytes).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    };
    keep.await.map_err(failed)
}

/// The list of keys; absent where no coordinator had any, or what stands there was signed by no root.
pub async fn find(db: impl PgExecutor<'_>) -> Result<Option<List>, Error> {
    let body: Option<Vec<u8>> = sqlx::query_scalar("select body from key_ring where id = 1")
        .fetch_optional(db)
        .await
        .map_err(Error::doing("read the list of keys"))?;
    Ok(body.and_then(read))
}

fn read(bytes: Vec<u8>) -> Option<List> {
    let trust = Trust::open(&bytes, None).ok()?;
    Some(List { bytes, trust })
}

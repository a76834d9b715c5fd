//! The tree that entries of the audit log are gathered into: which places are given, which are signed.
//! Written by the auditor that has the lock, and by nothing else.

use maestro_evidence::log::path::Head;
use maestro_schemas::audit::EntryId;
use sqlx::{Connection as _, FromRow, PgConnection, PgExecutor};
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, audit_entry, json};

/// The tree.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What its checkpoints and its objects are named by.
    pub origin: String,
    /// How many entries have their place.
    pub assigned: u64,
    /// How many entries are signed, and their tree's hash.
    pub head: Head,
    /// The signed text over them.
    pub checkpoint: Option<String>,
    /// The key that it is signed with, in PEM.
    pub public_key: Option<String>,
    /// How long ago a checkpoint was last kept beside the newest, in seconds.
    pub anchored_s: Option<f64>,
}

#[derive(FromRow)]
struct Record {
    origin: String,
    assigned: i64,
    size: i64,
    root: Vec<u8>,
    checkpoint: Option<String>,
    public_key: Option<String>,
    anchored_s: Option<f64>,
}

/// The tree as it is.
pub async fn state(db: impl PgExecutor<'_>) -> Result<State, Error> {
    let row: Record = sqlx::query_as(
        "select origin, assigned, size, root, checkpoint, public_key,
                extract(epoch from clock_timestamp() - anchored_at)::float8 as anchored_s
           from audit_log",
    )
    .fetch_one(db)
    .await
    .map_err(Error::doing("read the audit log's state"))?;
    let root = json::digest("audit_log.root", &row.root)?;
    Ok(State {
        origin: row.origin,
        assigned: unsigned("audit_log.assigned", row.assigned)?,
        head: Head { size: unsigned("audit_log.size", row.size)?, root },
        checkpoint: row.checkpoint,
        public_key: row.public_key,
        anchored_s: row.anchored_s,
    })
}

/// Gives the oldest entries that wait their places, at most `count_max`; answers how many.
pub async fn assign(conn: &mut PgConnection, count_max: u16) -> Result<u64, Error> {
    let failed = Error::doing;
    let mut transaction = conn.begin().await.map_err(failed("give entries their places"))?;
    let first: i64 = sqlx::query_scalar("select assigned from audit_log for update")
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed("lock the audit log"))?;
    let waiting = audit_entry::waiting(&mut *transaction, count_max).await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    let (mut commands, mut acts, mut texts) = (Places::default(), Places::default(), Vec::new());
    let mut leaves = Vec::new();
    for (leaf, item) in (first..).zip(&waiting) {
        let text = item.entry.canonical();
        texts.push(text.map_err(|error| Error::unreadable("an entry", error))?);
        leaves.push(leaf);
        match item.entry.id {
            EntryId::Command(_) => commands.add(item.entry.id, leaf),
            EntryId::Act(_) => acts.add(item.entry.id, leaf),
        }
    }
    let of_commands =
        "update audit a set leaf = x.leaf from unnest($1::uuid[], $2::bigint[]) x (id, leaf)
                        where a.command = x.id and a.leaf is null";
    let of_acts =
        "update audit_act a set leaf = x.leaf from unnest($1::uuid[], $2::bigint[]) x (id, leaf)
                    where a.id = x.id and a.leaf is null";
    commands.write(&mut transaction, of_commands).await?;
    acts.write(&mut transaction, of_acts).await?;
    sqlx::query(
        "with staged as (insert into audit_staged (leaf, entry) select * from unnest($1::bigint[], $2::text[]))
         update audit_log set assigned = assigned + cardinality($1::bigint[])",
    )
    .bind(&leaves)
    .bind(&texts)
    .execute(&mut *transaction)
    .await
    .map_err(failed("stage entries"))?;
    transaction.commit().await.map_err(failed("give entries their places"))?;
    Ok(u64::try_from(waiting.len()).unwrap_or(u64::MAX))
}

#[derive(Default)]
struct Places {
    ids: Vec<Uuid>,
    leaves: Vec<i64>,
}

impl Places {
    fn add(&mut self, id: EntryId, leaf: i64) {
        self.ids.push(audit_entry::uuid(id));
        self.leaves.push(leaf);
    }

    async fn write(&self, conn: &mut PgConnection, statement: &'static str) -> Result<(), Error> {
        let done = sqlx::query(statement).bind(&self.ids).bind(&self.leaves).execute(conn).await;
        let changed = done.map_err(Error::doing("give entries their places"))?.rows_affected();
        match usize::try_from(changed) {
            Ok(changed) if changed == self.ids.len() => Ok(()),
            _ => Err(Error::Counts(format!(
                "{changed} of {} entries took their place",
                self.ids.len()
            ))),
        }
    }
}

/// Entries as they were staged, from a place on, in their order, at most `count_max`.
pub async fn staged(
    db: impl PgExecutor<'_>,
    from: u64,
    count_max: u32,
) -> Result<Vec<(u64, String)>, Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select leaf, entry from audit_staged where leaf >= $1 order by leaf limit $2",
    )
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .bind(i64::from(count_max))
    .fetch_all(db)
    .await
    .map_err(Error::doing("read entries that are staged"))?;
    rows.into_iter()
        .map(|(leaf, entry)| Ok((unsigned("audit_staged.leaf", leaf)?, entry)))
        .collect()
}

/// A tree that was signed and is in object storage.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// How many entries it has, and its hash.
    pub head: Head,
    /// The signed text.
    pub checkpoint: &'a str,
    /// The key that it is signed with, in PEM.
    pub public_key: &'a str,
    /// Whether the checkpoint was kept beside the newest too.
    pub is_anchored: bool,
}

/// Notes a tree that was signed, and lets go what its full bundles hold; false where the tree is not
/// the one of `old` entries any more.
pub async fn confirm(conn: &mut PgConnection, old: u64, new: Signed<'_>) -> Result<bool, Error> {
    let place = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let changed: i64 = sqlx::query_scalar(
        "with confirmed as (
           update audit_log
              set size = $2, root = $3, checkpoint = $4, public_key = $5,
                  anchored_at = case when $6 then clock_timestamp() else anchored_at end
            where size = $1
           returning size),
         gone as (
           delete from audit_staged using confirmed
            where leaf < confirmed.size / 256 * 256)
         select count(*) from confirmed",
    )
    .bind(place(old))
    .bind(place(new.head.size))
    .bind(new.head.root.as_bytes().as_slice())
    .bind(new.checkpoint)
    .bind(new.public_key)
    .bind(new.is_anchored)
    .fetch_one(conn)
    .await
    .map_err(Error::doing("note a signed tree"))?;
    Ok(changed == 1)
}

/// Whether the tree of so many entries is still the one that was signed last.
pub async fn is_at(conn: &mut PgConnection, size: u64) -> Result<bool, Error> {
    sqlx::query_scalar("select size = $1 from audit_log")
        .bind(i64::try_from(size).unwrap_or(i64::MAX))
        .fetch_one(conn)
        .await
        .map_err(Error::doing("read the audit log's state"))
}

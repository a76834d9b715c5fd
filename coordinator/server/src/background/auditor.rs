//! Gathers what was done into the audit log: a Merkle tree whose signed head stands in object storage.
//!
//! Each coordinator has one, and **one of the cluster audits:** whose connection has the lock, as with
//! the collector. It is off the path of every action: what was done is committed with no knowledge of
//! the tree, and waits in its own row.
//!
//! A turn does these [steps](Step), and each may be the last one that a process lives to do:
//!
//! 1. *Assign.* In one transaction entries that wait get their places, after all that have one, and
//!    are staged as the bytes that will stand in the tree. Rows that commit late wait for a later turn:
//!    the order of places is the auditor's, and no sequence of the rows'.
//! 2. *Store.* Bundles of entries, and the tiles that they change, go to object storage. They follow
//!    from the staged bytes alone, so whoever does this again writes the same.
//! 3. *Anchor.* Every hour the signed head is kept beside the newest, for good.
//! 4. *Point.* The signed head becomes the newest one.
//! 5. *Confirm.* Postgres notes it, and lets the staged bytes of full bundles go.
//! 6. *Clear.* Narrower tiles of those that are full now are removed.
//!
//! What must stay true: two signed heads are never of trees of which neither is the beginning of the
//! other. So a head that stands in object storage already is looked at first, and where it is not the
//! beginning of what would be signed, nothing is: [`Error::Forked`], [`Error::RolledBack`].

mod error;
mod signers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::key::{PublicKey, Signer};
use maestro_evidence::log::checkpoint;
use maestro_evidence::log::grow::{Change, Edge};
use maestro_evidence::log::note::{self, NOTE_BYTES_MAX, NoteKey};
use maestro_evidence::log::path::Head;
use maestro_evidence::log::tile::{Kind, TILE_BYTES_MAX, WIDTH};
use maestro_evidence::log::{self, hash};
use maestro_evidence::store::ArtifactStore;
use maestro_evidence::store::log::LogStore;
use maestro_telemetry::event::{AuditFailed, AuditLogged};
use maestro_telemetry::metrics::Metrics;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::store::audit_log::{self, Signed, State};
use crate::store::connect;
pub use error::Error;
pub use signers::{OneKey, Signers};

/// How often it is looked for entries that wait.
pub const PERIOD: Duration = Duration::from_secs(2);

/// How often a checkpoint is kept beside the newest.
pub const ANCHOR_PERIOD: Duration = Duration::from_secs(3_600);

/// The most entries of one checkpoint more than of the former.
pub const PAGE: u16 = 4 * WIDTH;

/// The most checkpoints of one turn; the next goes on.
const PAGES_MAX: u32 = 200;

/// Where the newest checkpoint lies.
pub const NEWEST: &str = "checkpoint";

/// Where those lie that are kept beside it, by the number of their entries.
pub const ANCHORS: &str = "checkpoints";

/// A step of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Entries get their places.
    Assign,
    /// Bundles and tiles are in object storage.
    Store,
    /// The checkpoint is kept, where it is time.
    Anchor,
    /// The checkpoint is the newest.
    Point,
    /// Postgres knows.
    Confirm,
    /// Narrower tiles are gone.
    Clear,
}

/// What audits, and whose turn it is.
#[derive(Debug)]
pub struct Auditor {
    database: PgConnectOptions,
    store: ArtifactStore,
    signers: Arc<dyn Signers>,
    anchor_period: Duration,
    stop: CancellationToken,
    /// The connection that has the lock, where it has.
    conn: Option<PgConnection>,
}

/// Audits every [`PERIOD`] until `stop`.
pub async fn run(mut auditor: Auditor, metrics: Metrics) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let stop = auditor.stop.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match auditor.turn().await {
            Ok(Some(logged)) => logged.tell(&metrics),
            // Another coordinator does.
            Ok(None) => {}
            Err(error) => AuditFailed(&error).tell(&metrics),
        }
    }
}

impl Auditor {
    /// Audits with the keys of `signers`; nothing is connected before the first turn.
    pub fn new(
        database: PgConnectOptions,
        store: ArtifactStore,
        signers: Arc<dyn Signers>,
        stop: CancellationToken,
    ) -> Self {
        Self { database, store, signers, anchor_period: ANCHOR_PERIOD, stop, conn: None }
    }

    /// The same, keeping a checkpoint beside the newest so often.
    pub fn with_anchor_period(mut self, anchor_period: Duration) -> Self {
        self.anchor_period = anchor_period;
        self
    }

    /// Logs all that waits; answers nothing where another auditor of the cluster has the lock.
    pub async fn turn(&mut self) -> Result<Option<AuditLogged>, Error> {
        let mut logged = AuditLogged::default();
        for _ in 0..PAGES_MAX {
            let Some(page) = self.turn_to(Step::Clear).await? else { return Ok(None) };
            logged.entries += page.entries;
            logged.size = page.size;
            if page.entries == 0 || self.stop.is_cancelled() {
                return Ok(Some(logged));
            }
        }
        logged.more = true;
        Ok(Some(logged))
    }

    /// Logs a page, up to and with the step `last`.
    pub async fn turn_to(&mut self, last: Step) -> Result<Option<AuditLogged>, Error> {
        let conn = match self.conn.take() {
            Some(conn) => Some(conn),
            None => connect::auditing(&self.database).await?,
        };
        let Some(mut conn) = conn else { return Ok(None) };
        // Where this fails the connection goes, and the lock with it: nobody knows its state.
        let logged = self.page(&mut conn, last).await?;
        self.conn = Some(conn);
        Ok(Some(logged))
    }

    async fn page(&self, conn: &mut PgConnection, last: Step) -> Result<AuditLogged, Error> {
        audit_log::assign(conn, PAGE).await?;
        let state = audit_log::state(&mut *conn).await?;
        let size = state.head.size;
        if state.assigned == size || last < Step::Store {
            return Ok(AuditLogged { size, ..AuditLogged::default() });
        }
        let log = self.store.log(&state.origin);
        let signer = self.signers.signer().await?;
        let newest = newest(&log, signer.public(), &state).await?;
        let count = page_of(&state, newest)?;
        let (edge, changes) = self.grown(conn, (&state, &log), count).await?;
        check_ahead(edge.head(), newest)?;
        for change in &changes {
            log.put(&change.tile.to_string(), change.bytes.clone()).await?;
        }
        let head = edge.head();
        if last >= Step::Anchor {
            let signing = Signing { log: &log, state: &state, signer: &*signer };
            self.sign(conn, signing, (head, newest), last).await?;
        }
        if last >= Step::Clear {
            for change in changes.iter().filter(|change| change.tile.is_full()) {
                log.clear(&format!("{}.p", change.tile.full_path())).await?;
            }
        }
        Ok(AuditLogged { entries: head.size - size, size: head.size, more: false })
    }

    /// The tree with a page more, and the objects that change by it.
    async fn grown(
        &self,
        conn: &mut PgConnection,
        (state, log): (&State, &LogStore),
        count: u32,
    ) -> Result<(Edge, Vec<Change>), Error> {
        let size = state.head.size;
        let first = size - size % u64::from(WIDTH);
        let kept = size - first;
        let count = u32::try_from(kept).unwrap_or(0) + count;
        let staged = audit_log::staged(conn, first, count).await?;
        for (place, expected) in staged.iter().map(|(leaf, _)| *leaf).zip(first..) {
            if place != expected {
                return Err(Error::Unstaged(expected));
            }
        }
        if u64::try_from(staged.len()).unwrap_or(0) <= kept {
            return Err(Error::Unstaged(size));
        }
        let entries: Vec<Vec<u8>> =
            staged.into_iter().map(|(_, entry)| entry.into_bytes()).collect();
        let mut edge = edge(log, state.head).await?;
        let changes = edge.grow(&entries, usize::try_from(kept).unwrap_or(0))?;
        // Whoever staged other bytes for places that are signed would make another tree.
        self.check_kept(&entries, &changes, kept)?;
        Ok((edge, changes))
    }

    /// The entries of the last bundle that are signed already must be those that are staged still.
    fn check_kept(&self, entries: &[Vec<u8>], changes: &[Change], kept: u64) -> Result<(), Error> {
        let lowest = changes.iter().find(|change| change.tile.kind == Kind::Hashes(0));
        let Some(lowest) = lowest else { return Ok(()) };
        let hashes = lowest.tile.hashes(&lowest.bytes)?;
        let kept = usize::try_from(kept).unwrap_or(0);
        let differs = entries.iter().zip(&hashes).take(kept);
        match differs.clone().position(|(entry, hash)| hash::leaf(entry) != *hash) {
            None => Ok(()),
            Some(place) => {
                let first = lowest.tile.index * u64::from(WIDTH);
                Err(Error::Unstaged(first + u64::try_from(place).unwrap_or(0)))
            }
        }
    }

    async fn sign(
        &self,
        conn: &mut PgConnection,
        Signing { log, state, signer }: Signing<'_>,
        (head, newest): (Head, Option<Head>),
        last: Step,
    ) -> Result<(), Error> {
        let text = checkpoint::text(&state.origin, head);
        let signature = signer.sign(text.as_bytes()).await?;
        let signed = note::signed(&text, (&state.origin, signer.public()), &signature)?;
        // Whoever lost the lock while it wrote must not put an older head in a newer one's place.
        if !audit_log::is_at(conn, state.head.size).await? {
            return Err(Error::Overtaken);
        }
        let is_due = |age_s: f64| age_s >= self.anchor_period.as_secs_f64();
        let is_anchored = state.anchored_s.is_none_or(is_due);
        if is_anchored {
            log.put(&format!("{ANCHORS}/{:020}", head.size), signed.clone()).await?;
        }
        // One that is further was written by a turn that did not live to confirm it.
        if last >= Step::Point && newest.is_none_or(|newest| newest.size <= head.size) {
            log.put(NEWEST, signed.clone()).await?;
        }
        if last >= Step::Confirm {
            let public_key = signer.public().pem();
            let new = Signed { head, checkpoint: &signed, public_key: &public_key, is_anchored };
            if !audit_log::confirm(conn, state.head.size, new).await? {
                return Err(Error::Overtaken);
            }
        }
        Ok(())
    }
}

/// What a tree is signed with, and for which log.
struct Signing<'a> {
    log: &'a LogStore,
    state: &'a State,
    signer: &'a dyn Signer,
}

/// How many entries the next page has. Where a head is further than what Postgres knows, because a turn
/// did not live to confirm it, exactly those that lead to it, so that the two can be compared.
fn page_of(state: &State, newest: Option<Head>) -> Result<u32, Error> {
    let ahead = newest.map_or(0, |newest| newest.size.saturating_sub(state.head.size));
    match u32::try_from(ahead) {
        Ok(0) => Ok(u32::from(PAGE)),
        Ok(ahead) if ahead <= u32::from(PAGE) => Ok(ahead),
        // No turn goes further than a page.
        _ => Err(Error::RolledBack { signed: state.head.size + ahead, assigned: state.head.size }),
    }
}

/// Whether a head may be signed: the one that was signed last is not of another tree.
fn check_ahead(head: Head, newest: Option<Head>) -> Result<(), Error> {
    match newest {
        Some(newest) if newest.size == head.size && newest.root != head.root => {
            Err(Error::Forked { size: head.size })
        }
        _ => Ok(()),
    }
}

/// The head that was signed last, where it can be the beginning of the rows' tree.
async fn newest(log: &LogStore, key: &PublicKey, state: &State) -> Result<Option<Head>, Error> {
    let Some(bytes) = log.get(NEWEST, NOTE_BYTES_MAX as u64).await? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| log::Error::Note("it is not UTF-8"))?;
    if state.checkpoint.as_deref() == Some(text) {
        // Whichever key it was signed with.
        return Ok(Some(state.head));
    }
    let key = NoteKey { name: &state.origin, keys: std::slice::from_ref(key) };
    let head = checkpoint::open(text, &key)?;
    if head.size > state.assigned {
        return Err(Error::RolledBack { signed: head.size, assigned: state.assigned });
    }
    if head.size == state.head.size && head.root != state.head.root {
        return Err(Error::Forked { size: head.size });
    }
    Ok(Some(head))
}

/// The last tiles of the signed tree.
async fn edge(log: &LogStore, head: Head) -> Result<Edge, Error> {
    let mut hashes = BTreeMap::new();
    for tile in Edge::tiles(head.size) {
        let path = tile.to_string();
        let bytes = log.get(&path, TILE_BYTES_MAX as u64).await?;
        let bytes = bytes.ok_or(Error::Missing(path))?;
        hashes.insert(tile, tile.hashes(&bytes)?);
    }
    Ok(Edge::read(head, &hashes)?)
}

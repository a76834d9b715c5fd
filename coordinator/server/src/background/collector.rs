//! Deletes objects that no row names, once they are older than any attempt may take.
//!
//! Each coordinator has one, on a thread of its own, because reading large directories would hold
//! the fold up. **One of the cluster collects:** whose connection has the lock, from its first turn
//! until its end. All that the collector asks of Postgres it asks over that very connection, so
//! whoever lost the lock can go on with nothing but the page in its hands. A shard's lease would not
//! do: it moves while a collection lasts.
//!
//! A collection takes the time, gathers what rows name (see [`store::named`]) with all that is in
//! directories, and then goes through the rest in pages. What may go is older than the age *at the
//! time when gathering began*, by its own time of writing and by the rows of [`project_object`]:
//!
//! - *An upload.* Whoever is told that an object is there has a row that is younger than half the
//!   age, and the object is there after that ([`project_object`] says why). A plan that names it is
//!   stored within the other half. Either gathering saw the plan, or the plan came after gathering
//!   began, and the row is still young then.
//! - *What an execution made.* It is stored, or written again where it was older than half the age,
//!   at the end of an attempt; the commit that names it comes within the other half. Either
//!   gathering saw that commit, or the object is still young. One that is written anew while it is
//!   being deleted is seen when it is looked at just before; in the instant after that look it is
//!   lost, like any object that a disk loses, and its step is executed again. So it is where the
//!   commit comes later still, because the bus was away for days.
//! - *What a step takes over* from a result or a former run is named by their rows before.
//! - *Storage or Postgres fails* while names are gathered: then nothing is deleted. While a page is
//!   deleted: its rows come back, some of its objects may be gone, and nobody is told they are there.
//!   Only where the connection breaks within a page do its last deletions go on without the lock: an
//!   upload of the very bytes in that moment may be lost, and is asked for again by the next run.
//!
//! So what goes are uploads that no plan ever named, what executions left whose reports never
//! counted, and leftovers of writes. No run and no plan is ever deleted, so what they name stays.
//!
//! **Memory** holds at most [`NAMED_MAX`] digests of what is named, and as many of directories that
//! were read, about 70 MB; one page of rows, 32 MiB; and one directory, whose own bytes are 64 MiB
//! at most. Where more is named, all digests are looked at in two, four, … shares, one after the
//! other.

mod gather;

use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use maestro_evidence::collect::{self, Reachable, Share, delete_old, unnamed};
use maestro_evidence::store::{self as objects, ArtifactStore, KEPT};
use maestro_schemas::digest::Digest;
use maestro_telemetry::event::{CollectionFailed, ObjectsCollected};
use maestro_telemetry::metrics::Metrics;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::store::project_object::{self, Moment, Place};
use crate::store::{self, connect};

/// How often there is a collection.
pub const PERIOD: Duration = Duration::from_secs(3600);

/// How long after a coordinator's start its first one is: most local stacks live for minutes.
pub const FIRST_AFTER: Duration = Duration::from_secs(60);

/// The most names that are held at once.
pub const NAMED_MAX: usize = 500_000;

/// The most objects that one collection deletes; the next goes on.
const DELETED_MAX: u64 = 100_000;

/// How many objects are deleted while others wait who want to hold some.
const PAGE: u16 = 200;

/// The most shares: a thousand times [`NAMED_MAX`] objects.
const SHARES_MAX: u32 = 1_024;

/// Why a collection broke off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres failed.
    #[error("the database failed")]
    Store(#[from] store::Error),
    /// Object storage failed.
    #[error("object storage failed")]
    Objects(#[from] objects::Error),
    /// It could not be gathered what is named.
    #[error("what is named could not be gathered")]
    Named(#[from] collect::Error),
    /// It was asked to stop.
    #[error("the coordinator stops")]
    Stopping,
}

/// What collects, and whose turn it is.
#[derive(Debug)]
pub struct Collector {
    database: PgConnectOptions,
    store: ArtifactStore,
    age: Duration,
    named_max: usize,
    shares: u32,
    stop: CancellationToken,
    /// The connection that has the lock, where it has.
    conn: Option<PgConnection>,
}

/// What may go is older than this.
#[derive(Debug, Clone, Copy)]
struct Before {
    rows: Moment,
    objects: SystemTime,
}

/// Collects every [`PERIOD`] until `stop`.
pub async fn run(mut collector: Collector, metrics: Metrics) {
    let first = tokio::time::Instant::now() + FIRST_AFTER;
    let mut ticks = tokio::time::interval_at(first, PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let stop = collector.stop.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match collector.collect().await {
            Ok(Some(collected)) => collected.tell(&metrics),
            // Another coordinator does.
            Ok(None) => {}
            Err(Error::Stopping) => return,
            Err(error) => CollectionFailed(&error).tell(&metrics),
        }
    }
}

impl Collector {
    /// Collects what is older than [`KEPT`]; nothing is connected before the first turn.
    pub fn new(database: PgConnectOptions, store: ArtifactStore, stop: CancellationToken) -> Self {
        let (age, named_max, shares) = (KEPT, NAMED_MAX, 1);
        Self { database, store, age, named_max, shares, stop, conn: None }
    }

    /// The same, holding at most so many names at once.
    pub fn with_named_max(mut self, named_max: usize) -> Self {
        self.named_max = named_max;
        self
    }

    /// Collects once; answers nothing where another collector of the cluster has the lock.
    pub async fn collect(&mut self) -> Result<Option<ObjectsCollected>, Error> {
        let conn = match self.conn.take() {
            Some(conn) => Some(conn),
            None => connect::collecting(&self.database).await?,
        };
        let Some(mut conn) = conn else { return Ok(None) };
        // Where this fails the connection goes, and the lock with it: nobody knows its state.
        let collected = self.collect_all(&mut conn).await?;
        self.conn = Some(conn);
        Ok(Some(collected))
    }

    async fn collect_all(&mut self, conn: &mut PgConnection) -> Result<ObjectsCollected, Error> {
        let mut collected = ObjectsCollected::default();
        let before = self.before(conn).await?;
        collected.unfinished = self.store.remove_unfinished(before.objects).await?;
        collected.forgotten = self.store.forget(before.objects).await?;
        loop {
            match self.collect_shares(conn, &mut collected).await {
                Err(Error::Named(collect::Error::TooMany { .. })) if self.shares < SHARES_MAX => {
                    self.shares *= 2;
                    (collected.named, collected.unreadable) = (0, 0);
                }
                done => return done.map(|()| collected),
            }
        }
    }

    async fn collect_shares(
        &self,
        conn: &mut PgConnection,
        collected: &mut ObjectsCollected,
    ) -> Result<(), Error> {
        for share in Share::split(self.shares) {
            let before = self.before(conn).await?;
            let mut reachable = Reachable::of(share, self.named_max);
            gather::gather(conn, (&self.store, &self.stop), &mut reachable).await?;
            collected.named += u64::try_from(reachable.len()).unwrap_or(u64::MAX);
            collected.unreadable += reachable.unreadable();
            self.forget_holds(conn, (&reachable, before), collected).await?;
            self.delete_unnamed(conn, (&reachable, before), collected).await?;
        }
        Ok(())
    }

    async fn before(&self, conn: &mut PgConnection) -> Result<Before, Error> {
        let objects = SystemTime::now().checked_sub(self.age).unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Before { rows: project_object::moment(conn, self.age).await?, objects })
    }

    /// Deletes what somebody held long ago and no row names. Rows whose object is gone already go
    /// here too, which no listing of objects would find.
    async fn forget_holds(
        &self,
        conn: &mut PgConnection,
        (reachable, before): (&Reachable, Before),
        collected: &mut ObjectsCollected,
    ) -> Result<(), Error> {
        let mut after = Place::default();
        while !collected.more
            && let Some((mut digests, last)) =
                project_object::old(&mut *conn, &after, before.rows, PAGE).await?
        {
            digests.retain(|digest| !reachable.spares(*digest));
            // Several projects may hold one.
            digests.sort_unstable();
            digests.dedup();
            self.delete_page(conn, (&digests, before), collected).await?;
            after = last;
        }
        Ok(())
    }

    /// Deletes what nobody ever held: it was made by executions.
    async fn delete_unnamed(
        &self,
        conn: &mut PgConnection,
        (reachable, before): (&Reachable, Before),
        collected: &mut ObjectsCollected,
    ) -> Result<(), Error> {
        let listed = unnamed(&self.store, reachable, before.objects);
        let mut pages = std::pin::pin!(listed.try_chunks(usize::from(PAGE)));
        while !collected.more
            && let Some(page) = pages.try_next().await.map_err(|error| error.1)?
        {
            let digests: Vec<Digest> = page.iter().map(|object| object.digest).collect();
            self.delete_page(conn, (&digests, before), collected).await?;
        }
        Ok(())
    }

    /// Deletes objects of a page that nobody holds, while nobody can begin to.
    async fn delete_page(
        &self,
        conn: &mut PgConnection,
        (digests, before): (&[Digest], Before),
        collected: &mut ObjectsCollected,
    ) -> Result<(), Error> {
        go_on(&self.stop)?;
        if digests.is_empty() {
            return Ok(());
        }
        let failed = |source| store::Error::Database { action: "delete a page of objects", source };
        let mut page = conn.begin().await.map_err(failed)?;
        project_object::shut_out(&mut page).await?;
        let forgotten = project_object::forget(&mut page, digests, before.rows).await?;
        let held = project_object::held_by_any(&mut page, digests).await?;
        let free: Vec<Digest> =
            digests.iter().copied().filter(|digest| !held.contains(digest)).collect();
        let deleted = delete_old(&self.store, &free, before.objects).await?;
        page.commit().await.map_err(failed)?;
        collected.holds += forgotten;
        collected.objects += deleted.objects;
        collected.bytes += deleted.bytes;
        collected.more = collected.objects >= DELETED_MAX;
        Ok(())
    }
}

fn go_on(stop: &CancellationToken) -> Result<(), Error> {
    if stop.is_cancelled() { Err(Error::Stopping) } else { Ok(()) }
}

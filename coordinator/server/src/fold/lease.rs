//! Takes shards that nobody owns, and gives up what is more than this coordinator's part.
//!
//! A shard is taken in one order: raise the epoch (from then on no commit of the former owner
//! lands), take the inbox with a consumer named by the epoch, read the rows. Whatever fails on the
//! way is tried again; the row's lease then runs out by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use maestro_engine::shard::request::LoadedShard;
use maestro_schemas::id::CoordinatorId;
use maestro_streams::connect::Connection;
use maestro_streams::fetch::inbox::{self, Taken};
use maestro_streams::topology::Topology;
use sqlx::PgPool;
use tokio::sync::mpsc;

use super::Shell;
use super::set_aside::quarantine;
use crate::store::{self, coordinator, load, shard};

/// How often leases are looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// A coordinator that was not seen for so long has no part.
const ABSENCE_MAX: Duration = Duration::from_secs(4);

/// What the loop is told.
pub(super) enum News {
    /// A shard was taken.
    Taken(Taken, Box<LoadedShard>),
    /// A shard is more than this coordinator's part.
    Surplus(u16),
}

enum Word {
    Lost(u16),
    Free(u16),
    Stop,
}

/// Keeps this coordinator's part of the shards.
pub(super) struct Lessee {
    news: mpsc::Receiver<News>,
    words: mpsc::Sender<Word>,
    pool: PgPool,
    name: String,
    incarnation: CoordinatorId,
}

impl Lessee {
    /// Begins to take shards.
    pub(super) fn start(shell: &Shell) -> Self {
        let (say, news) = mpsc::channel(64);
        let (words, inbox) = mpsc::channel(256);
        let keeper = Keeper {
            name: shell.name.clone(),
            incarnation: shell.incarnation,
            bus: shell.bus.clone(),
            topology: shell.topology.clone(),
            pool: shell.pool.clone(),
            owned: BTreeMap::new(),
            say,
        };
        tokio::spawn(keeper.keep(inbox));
        Self {
            news,
            words,
            pool: shell.pool.clone(),
            name: shell.name.clone(),
            incarnation: shell.incarnation,
        }
    }

    /// What happened next.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// A shard's memory was dropped: it may be taken again, under a new epoch.
    pub(super) fn lost(&self, shard: u16) {
        let _ = self.words.try_send(Word::Lost(shard));
    }

    /// A shard is for others to take, at once.
    pub(super) async fn free(&self, shard: u16) {
        let _ = self.words.send(Word::Free(shard)).await;
    }

    /// Takes no more shards.
    pub(super) fn stop(&self) {
        let _ = self.words.try_send(Word::Stop);
    }

    /// Says that this coordinator is gone, once what was freed is free.
    pub(super) async fn leave(self) {
        let Self { words, mut news, pool, name, incarnation } = self;
        drop(words);
        while news.recv().await.is_some() {}
        if let Err(error) = coordinator::leave(&pool, &name, incarnation).await {
            tracing::warn!(%error, "could not take leave");
        }
    }
}

struct Keeper {
    name: String,
    incarnation: CoordinatorId,
    bus: Connection,
    topology: Topology,
    pool: PgPool,
    /// Epochs of the shards that the loop has.
    owned: BTreeMap<u16, u64>,
    say: mpsc::Sender<News>,
}

impl Keeper {
    async fn keep(mut self, mut words: mpsc::Receiver<Word>) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut taking = true;
        loop {
            tokio::select! {
                biased;
                word = words.recv() => match word {
                    None => return,
                    Some(Word::Stop) => taking = false,
                    Some(Word::Lost(shard)) => {
                        self.owned.remove(&shard);
                    }
                    Some(Word::Free(shard)) => self.free(shard).await,
                },
                _ = ticks.tick(), if taking => {
                    if let Err(error) = self.look().await {
                        tracing::warn!(error = %error_chain(&error), "leases cannot be looked at");
                    }
                }
            }
        }
    }

    async fn free(&mut self, number: u16) {
        let Some(epoch) = self.owned.remove(&number) else { return };
        match shard::release(&self.pool, number, epoch).await {
            Ok(_) => tracing::info!(shard = number, epoch, "gave a shard up"),
            Err(error) => {
                tracing::warn!(%error, shard = number, "a shard could not be freed; its lease runs out")
            }
        }
    }

    /// Takes what is free up to this coordinator's part, and names what is beyond it.
    async fn look(&mut self) -> Result<(), store::Error> {
        coordinator::announce(&self.pool, &self.name, self.incarnation).await?;
        let present = coordinator::list(&self.pool, ABSENCE_MAX).await?.len().max(1);
        let leases = shard::list(&self.pool).await?;
        let part = leases.len().div_ceil(present);
        let free = leases.iter().filter(|lease| {
            let ours = lease.owner.as_deref() == Some(&self.name);
            !self.owned.contains_key(&lease.shard) && (lease.is_free || ours)
        });
        let free: Vec<u16> = free.map(|lease| lease.shard).collect();
        for number in free.into_iter().take(part.saturating_sub(self.owned.len())) {
            self.take(number).await?;
        }
        if let Some((number, _)) = self.owned.iter().nth(part) {
            let _ = self.say.send(News::Surplus(*number)).await;
        }
        Ok(())
    }

    async fn take(&mut self, number: u16) -> Result<(), store::Error> {
        let Some(acquired) =
            shard::acquire(&self.pool, number, &self.name, self.incarnation).await?
        else {
            return Ok(());
        };
        let taken = match inbox::take(&self.bus, &self.topology, number, acquired.epoch).await {
            Ok(taken) => taken,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), shard = number, "the inbox of a shard cannot be taken");
                return Ok(());
            }
        };
        let mut conn = self
            .pool
            .acquire()
            .await
            .map_err(|source| store::Error::Database { action: "take a shard", source })?;
        let loaded = load::load_shard_runs(&mut conn, number).await?;
        let batch = quarantine(&mut conn, &self.bus, (number, acquired), loaded.unreadable).await;
        self.owned.insert(number, acquired.epoch);
        let loaded = LoadedShard {
            shard: number,
            epoch: acquired.epoch,
            batch,
            clock_ms: acquired.clock_ms,
            runs: loaded.runs,
        };
        let _ = self.say.send(News::Taken(taken, Box::new(loaded))).await;
        Ok(())
    }
}

/// An error with all that caused it, in one line.
fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

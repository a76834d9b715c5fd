//! Performs what the fold asks for: the only loop that owns a [`Fold`].
//!
//! | file | what it performs |
//! |---|---|
//! | here | hands completions to the fold, performs what it asks, acks |
//! | `read` | reads inboxes |
//! | `commit` | writes commits on a connection of their own |
//! | `publish` | puts tasks on the bus, again and again while they are wanted |
//! | `lease` | takes shards, shares them with other coordinators |
//! | `set_aside` | quarantines runs that cannot be read |
//! | `ask` | finds out what the fold asks |
//! | `linger` | holds announcements of calls back for a moment |
//! | `listen` | heartbeats, demand, questions of the api |
//!
//! **Invariant:** nothing here decides anything about a run, and a message is acked only where the
//! fold says so.

mod ask;
mod commit;
mod lease;
mod linger;
mod listen;
mod publish;
mod read;
mod set_aside;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use maestro_engine::shard::Fold;
use maestro_engine::shard::request::{Completion, DeliveryId, Request};
use maestro_evidence::store::ArtifactStore;
use maestro_schemas::codec;
use maestro_schemas::command::Answered;
use maestro_schemas::id::CoordinatorId;
use maestro_streams::Subject;
use maestro_streams::connect::Connection;
use maestro_streams::dead::{self, DeadLetter};
use maestro_streams::fetch::inbox::InboxReader;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::{Topology, subject};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::lease::Lessee;
use self::linger::Lingering;
use self::publish::Publishing;
use crate::clock::now_ms;

/// Messages that wait to be folded; nothing is pulled beyond.
const BACKLOG_MAX: usize = 2_048;

/// How long giving every shard up may take, when told to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How often the others are told what is ready and in flight, where it changed.
const DEMAND_PERIOD: Duration = Duration::from_millis(100);

/// How often they are told where it did not.
const DEMAND_AGAIN: Duration = Duration::from_secs(1);

/// What the loop works with.
pub struct Shell {
    /// The coordinator's name, the same after a restart.
    pub name: String,
    /// This start of it.
    pub incarnation: CoordinatorId,
    /// Pulls and acks.
    pub bus: Connection,
    /// Publishes, tells, listens.
    pub voice: Connection,
    /// Where the truth is.
    pub database: PgConnectOptions,
    /// A few connections for what is not the fold.
    pub pool: PgPool,
    /// Where bytes are, to see whether a result is whole.
    pub store: ArtifactStore,
    /// How the streams are laid out.
    pub topology: Topology,
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus cannot be used.
    #[error("the bus cannot be used")]
    Bus(#[source] maestro_streams::connect::Error),
    /// The connection to the bus is closed for good.
    #[error("the connection to the bus was closed")]
    Closed,
}

/// Folds until `stop`, then gives every shard up and returns.
pub async fn run(shell: Shell, stop: CancellationToken) -> Result<(), Error> {
    let reader = InboxReader::open(&shell.bus, &shell.topology).await.map_err(Error::Bus)?;
    let publisher = Publisher::open(&shell.voice).await.map_err(Error::Bus)?;
    let (tell, completions) = mpsc::channel(1_024);
    let (requests, mut listen) = listen::start(&shell, tell.clone()).await.map_err(Error::Bus)?;
    let publishing = Publishing::start(&shell, publisher.clone(), tell.clone());
    let mut looping = Loop {
        fold: Fold::new(shell.name.clone()),
        commits: commit::start(shell.database.clone(), tell.clone()),
        lessee: Lessee::start(&shell),
        asks: ask::Asks::new(shell.pool.clone(), shell.store.clone(), tell),
        acks: reader.acks(),
        reader,
        publisher,
        publishing,
        voice: shell.voice.clone(),
        completions,
        questions: requests,
        unread: HashMap::new(),
        lingering: Lingering::default(),
        empty: BTreeMap::new(),
        wake_at: Instant::now(),
        demand_told: Instant::now(),
        demand: Default::default(),
    };
    let ended = looping.turn(stop).await;
    listen.abort_all();
    looping.lessee.leave().await;
    ended
}

struct Loop {
    fold: Fold,
    commits: mpsc::Sender<commit::Order>,
    lessee: Lessee,
    asks: ask::Asks,
    acks: maestro_streams::fetch::inbox::InboxAcks,
    reader: InboxReader,
    publisher: Publisher,
    publishing: Publishing,
    voice: Connection,
    completions: mpsc::Receiver<Completion>,
    questions: mpsc::Receiver<listen::Question>,
    /// Messages that could not be read, kept for their burial.
    unread: HashMap<u64, (Subject, Bytes)>,
    lingering: Lingering,
    /// Shards whose inbox was found empty by the last message of it.
    empty: BTreeMap<u16, bool>,
    wake_at: Instant,
    demand_told: Instant,
    demand: maestro_engine::share::Demand,
}

impl Loop {
    async fn turn(&mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut drain_until: Option<Instant> = None;
        loop {
            let full = self.fold.backlog() >= BACKLOG_MAX;
            tokio::select! {
                biased;
                // First, so that no load keeps timers and sweeps from their turn.
                () = tokio::time::sleep_until(self.wake_at) => self.wake().await,
                Some(completion) = self.completions.recv() => self.handle(completion).await,
                Some(news) = self.lessee.next() => self.leased(news).await,
                read = self.reader.next(), if !full => match read {
                    Some(read) => self.read(read).await,
                    None => return Err(Error::Closed),
                },
                () = self.lingering.due() => self.pull_held().await,
                Some(question) = self.questions.recv() => question.answer(&self.fold, now_ms()),
                () = stop.cancelled(), if drain_until.is_none() => {
                    drain_until = Some(Instant::now() + DRAIN_TIME_MAX);
                    self.lessee.stop();
                    self.handle(Completion::Drain).await;
                }
            }
            let drained = drain_until
                .is_some_and(|until| self.fold.shards().next().is_none() || Instant::now() > until);
            if drained {
                return Ok(());
            }
        }
    }

    async fn wake(&mut self) {
        self.pull_nothing().await;
        self.handle(Completion::Woke).await;
        self.tell_demand().await;
    }

    async fn leased(&mut self, news: lease::News) {
        match news {
            lease::News::Taken(taken, loaded) => {
                tracing::info!(
                    shard = taken.shard,
                    epoch = taken.epoch,
                    runs = loaded.runs.len(),
                    "took a shard"
                );
                self.empty.insert(taken.shard, false);
                self.handle(Completion::Acquired(loaded)).await;
                self.reader.add(&taken);
            }
            lease::News::Surplus(shard) => self.handle(Completion::HandOver { shard }).await,
        }
    }

    async fn handle(&mut self, completion: Completion) {
        tracing::trace!(?completion);
        let requests = self.fold.handle(now_ms(), completion);
        for request in requests {
            self.perform(request).await;
        }
    }

    async fn perform(&mut self, request: Request) {
        tracing::trace!(?request);
        match request {
            Request::Commit(commit) => {
                // The channel has room for the one commit that is ever in flight.
                let _ = self.commits.try_send(commit::Order(commit));
            }
            Request::Publish(publications) => self.publishing.publish(publications),
            Request::Withdraw { run, attempt, pools } => {
                self.publishing.withdraw(run, attempt, pools)
            }
            Request::Ack { deliveries, .. } => {
                let ids: Vec<u64> = deliveries.into_iter().map(|delivery| delivery.0).collect();
                self.acks.ack(&ids).await;
            }
            Request::Tell(batch) => {
                self.tell(subject::event(&batch.project), codec::encode(&batch)).await
            }
            Request::Stop { pool, cancel } => {
                self.tell(subject::control_cancel(&pool), codec::encode(&cancel)).await
            }
            Request::Answer { to, command, answer } => {
                self.answer(to, Answered { command, answer }).await
            }
            Request::Ask(id, ask) => self.asks.ask(id, ask),
            Request::Bury { shard, delivery, said, is_last, reason } => {
                let read = self.unread.remove(&delivery.0);
                let kept = read.or_else(|| listen::written(shard, &*said?));
                let ack = is_last.then_some(delivery);
                self.bury(ack, kept.map(|kept| (kept, shard, reason)));
            }
            Request::Release { shard, hand_over } => {
                self.stop_reading(shard);
                self.publishing.forget(shard);
                if hand_over {
                    self.lessee.free(shard).await;
                } else {
                    self.lessee.lost(shard);
                }
            }
            Request::WakeAt(at_ms) => {
                let pause = Duration::from_millis(at_ms.saturating_sub(now_ms()));
                self.wake_at = Instant::now() + pause;
            }
        }
    }

    async fn tell(&self, subject: Subject, message: Result<Vec<u8>, codec::Error>) {
        match message {
            Ok(bytes) => self.voice.tell(subject, bytes.into()).await,
            Err(error) => {
                tracing::error!(%error, subject = subject.as_str(), "a message could not be written")
            }
        }
    }

    async fn answer(&self, to: String, answered: Answered) {
        // Only a reply inbox is answered: an asker must not make a coordinator publish elsewhere.
        if to.starts_with("_INBOX") && !to.contains(['*', '>', ' ']) {
            self.tell(Subject::from(to), codec::encode(&answered)).await;
        }
    }

    /// Keeps what cannot be folded, then acks the message where that was the last of it.
    fn bury(&self, ack: Option<DeliveryId>, kept: Option<((Subject, Bytes), u16, String)>) {
        let Some(((origin, payload), shard, reason)) = kept else { return };
        tracing::warn!(shard, reason, "a message cannot be folded");
        let letter = DeadLetter { subject: subject::dead_inbox(shard), origin, payload, reason };
        let publisher = self.publisher.clone();
        let acks = self.acks.clone();
        tokio::spawn(async move {
            if dead::letter(&publisher, letter).await.is_there()
                && let Some(delivery) = ack
            {
                acks.ack(&[delivery.0]).await;
            }
        });
    }

    async fn tell_demand(&mut self) {
        let elapsed = self.demand_told.elapsed();
        if elapsed < DEMAND_PERIOD {
            return;
        }
        let demand = self.fold.demand();
        // Said again although nothing changed, for who is silent is counted no more.
        if demand != self.demand || (elapsed >= DEMAND_AGAIN && !demand.pools.is_empty()) {
            self.demand_told = Instant::now();
            self.tell(subject::demand(), codec::encode(&demand)).await;
            self.demand = demand;
        }
    }
}

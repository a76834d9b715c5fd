//! The inboxes of a coordinator's shards: each stream is read by one consumer, which is named by
//! the owner's epoch.
//!
//! Making the consumer of a new epoch deletes the former owner's, so that what was given out and
//! not acked comes at once, and the former owner gets nothing more.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::pull::{News, Pulls, Source};
use crate::api;
use crate::connect::{self, Connection};
use crate::delivery::{Delivery, say};
use crate::ensure;
use crate::topology::address::InboxSubject;
use crate::topology::subject::Subject;
use crate::topology::{Topology, epoch_consumer, epoch_of_consumer, inbox_stream};

/// The most messages in one [`InboxRead::Batch`].
pub const BATCH_MAX: usize = 512;

const TRIES: u32 = 5;
const REPAIR_TRIES: u32 = 40;
const REPAIR_PAUSE: Duration = Duration::from_millis(250);

/// Why a shard's inbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An owner of a higher epoch reads it.
    #[error("shard {shard} belongs to epoch {by}, which is later than {epoch}")]
    Superseded {
        /// The shard.
        shard: u16,
        /// The epoch that came too late.
        epoch: u64,
        /// The epoch that reads it.
        by: u64,
    },
    /// The stream or the consumer cannot be made.
    #[error("the inbox of shard {shard} cannot be made")]
    Ensure {
        /// The shard.
        shard: u16,
        /// Why.
        #[source]
        source: ensure::Error,
    },
}

/// A shard's inbox, ready to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The shard.
    pub shard: u16,
    /// The owner's epoch.
    pub epoch: u64,
    /// How many messages it held when it was taken.
    pub waiting: u64,
    /// Whether the stream or the consumer had to be made; false where this epoch had it already.
    pub made: bool,
}

/// What reading brought.
#[derive(Debug)]
pub enum InboxRead {
    /// Messages, at most [`BATCH_MAX`].
    Batch(Vec<InboxDelivery>),
    /// All that the inbox held when it was taken has been given out.
    CaughtUp {
        /// The shard.
        shard: u16,
    },
    /// The stream or its consumer had vanished and was made anew: every live attempt is ensured.
    Rebuilt {
        /// The shard.
        shard: u16,
    },
    /// The inbox can be read no more; where it is superseded, the shard is somebody else's.
    Lost {
        /// The shard.
        shard: u16,
        /// Why.
        error: Error,
    },
}

/// A message of an inbox.
#[derive(Debug, Clone)]
pub struct InboxDelivery {
    /// What it is acked by; never used twice in a process.
    pub id: u64,
    /// The shard.
    pub shard: u16,
    /// The epoch that it was given out to.
    pub epoch: u64,
    /// Its subject read; `None` for one that nobody of us builds.
    pub address: Option<InboxSubject>,
    /// Its subject.
    pub subject: Subject,
    /// Its number in the stream; a hint.
    pub sequence: u64,
    /// The how-manieth delivery of it this is, from 1; a hint.
    pub delivered: u32,
    /// How many messages the inbox had still to give out after this.
    pub pending: u64,
    /// When the stream took it, in milliseconds since 1970, by the server's clock.
    pub stored_at_ms: u64,
    /// Its bytes.
    pub payload: Bytes,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    consumers: Option<Vec<String>>,
}

/// Makes the consumer of `epoch` on a shard's inbox, and the stream where it is missing; deletes
/// those of lower epochs.
pub async fn take(
    connection: &Connection,
    topology: &Topology,
    shard: u16,
    epoch: u64,
) -> Result<Taken, Error> {
    make(connection, topology, (shard, epoch), false).await
}

/// Makes the consumer; `again` also where this epoch has it already, so that what was given out
/// and got lost on its way comes at once and not after [`crate::topology::INBOX_ACK_WAIT`].
async fn make(
    connection: &Connection,
    topology: &Topology,
    (shard, epoch): (u16, u64),
    mut again: bool,
) -> Result<Taken, Error> {
    let failed = |source| Error::Ensure { shard, source };
    let stream = topology.inbox(shard);
    let wanted = topology.inbox_consumer(epoch);
    let mut made = false;
    for _ in 0..TRIES {
        let names = consumers(connection, &stream.name).await;
        let names = names.map_err(|error| failed(error.into()))?;
        if let Some(by) = names.iter().filter_map(|name| epoch_of_consumer(name)).max()
            && by > epoch
        {
            return Err(Error::Superseded { shard, epoch, by });
        }
        made |= !names.contains(&wanted.name);
        for name in names.iter().filter(|name| again || **name != wanted.name) {
            let deleted = delete(connection, &stream.name, name).await;
            deleted.map_err(|error| failed(error.into()))?;
        }
        again = false;
        ensure::ensure(connection, std::slice::from_ref(&stream)).await.map_err(failed)?;
        match ensure::ensure_consumer(connection, &stream.name, &wanted).await {
            Ok(info) => {
                return Ok(Taken {
                    shard,
                    epoch,
                    waiting: info.num_pending + info.num_ack_pending,
                    made,
                });
            }
            // A former owner was quicker and made its own again.
            Err(ensure::Error::Api(error)) if is_not_unique(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(ensure::Error::Api(api::Error::Malformed {
        what: format!("CONSUMER.CREATE.{}.{}", stream.name, wanted.name),
    })))
}

/// Whether the bus did not say yes or no: right after a restart it does not for a moment.
fn is_unanswered(taken: &Result<Taken, Error>) -> bool {
    matches!(taken, Err(Error::Ensure { source: ensure::Error::Api(_), .. }))
}

fn is_not_unique(error: &api::Error) -> bool {
    error.number().is_some_and(|number| api::CONSUMER_NOT_UNIQUE.contains(&number))
}

async fn consumers(connection: &Connection, stream: &str) -> Result<Vec<String>, api::Error> {
    let what = format!("CONSUMER.NAMES.{stream}");
    match api::ask::<Names>(connection, &what, &json!({ "offset": 0 })).await {
        Ok(names) => Ok(names.consumers.unwrap_or_default()),
        Err(error) if error.number() == Some(api::STREAM_NOT_FOUND) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn delete(connection: &Connection, stream: &str, consumer: &str) -> Result<(), api::Error> {
    let what = format!("CONSUMER.DELETE.{stream}.{consumer}");
    match api::ask::<Value>(connection, &what, &Value::Null).await {
        Err(error) if error.number() != Some(api::CONSUMER_NOT_FOUND) => Err(error),
        _ => Ok(()),
    }
}

/// How many messages an inbox has still to give out; 0 means that it has been read up to now.
pub async fn pending(connection: &Connection, shard: u16, epoch: u64) -> Result<u64, api::Error> {
    let info =
        ensure::consumer_info(connection, &inbox_stream(shard), &epoch_consumer(epoch)).await?;
    Ok(info.map_or(0, |info| info.num_pending))
}

/// What of a shard's inbox was given out and is not acked.
type Unacked = Arc<Mutex<HashMap<u64, (u16, Subject)>>>;

/// Says that messages are done with. Clones share what was given out.
#[derive(Clone)]
pub struct InboxAcks {
    connection: Connection,
    unacked: Unacked,
}

impl InboxAcks {
    /// Acks these deliveries: sent and not confirmed, for a lost one comes again. Ids of shards
    /// that were given up are passed over.
    pub async fn ack(&self, ids: &[u64]) {
        for id in ids {
            let found = lock(&self.unacked).remove(id);
            if let Some((_, reply)) = found {
                say(self.connection.client(), &reply, Bytes::new()).await;
            }
        }
    }
}

fn lock(unacked: &Unacked) -> std::sync::MutexGuard<'_, HashMap<u64, (u16, Subject)>> {
    unacked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A shard that is being read.
struct Shard {
    epoch: u64,
    /// How many of the messages that it held when taken are still to come.
    behind: u64,
    /// The numbers of those that came; emptied when nothing is left to come.
    seen: HashSet<u64>,
    repairing: bool,
}

/// Reads the inboxes of all shards that a coordinator owns.
pub struct InboxReader {
    connection: Connection,
    reconnects: watch::Receiver<u64>,
    topology: Topology,
    pulls: Pulls<u16>,
    shards: HashMap<u16, Shard>,
    repairs: JoinSet<(u16, Result<Taken, Error>)>,
    unacked: Unacked,
    next_id: u64,
    out: VecDeque<InboxRead>,
}

impl InboxReader {
    /// A reader without shards.
    pub async fn open(
        connection: &Connection,
        topology: &Topology,
    ) -> Result<Self, connect::Error> {
        Ok(Self {
            connection: connection.clone(),
            reconnects: connection.reconnects(),
            topology: topology.clone(),
            pulls: Pulls::open(connection).await?,
            shards: HashMap::new(),
            repairs: JoinSet::new(),
            unacked: Unacked::default(),
            next_id: 0,
            out: VecDeque::new(),
        })
    }

    /// Acks what this reader gives out.
    pub fn acks(&self) -> InboxAcks {
        InboxAcks { connection: self.connection.clone(), unacked: Arc::clone(&self.unacked) }
    }

    /// Reads a shard from now on.
    pub fn add(&mut self, taken: &Taken) {
        self.remove(taken.shard);
        self.pulls.add(Source {
            key: taken.shard,
            stream: inbox_stream(taken.shard),
            consumer: epoch_consumer(taken.epoch),
            batch: u32::try_from(BATCH_MAX).unwrap_or(u32::MAX),
        });
        if taken.waiting == 0 {
            self.out.push_back(InboxRead::CaughtUp { shard: taken.shard });
        }
        self.shards.insert(
            taken.shard,
            Shard {
                epoch: taken.epoch,
                behind: taken.waiting,
                seen: HashSet::new(),
                repairing: false,
            },
        );
    }

    /// Reads a shard no more; what was given out of it cannot be acked any more.
    pub fn remove(&mut self, shard: u16) {
        self.pulls.remove(shard);
        self.shards.remove(&shard);
        lock(&self.unacked).retain(|_, (of, _)| *of != shard);
        self.out.retain_mut(|read| match read {
            InboxRead::CaughtUp { shard: of }
            | InboxRead::Rebuilt { shard: of }
            | InboxRead::Lost { shard: of, .. } => *of != shard,
            InboxRead::Batch(batch) => {
                batch.retain(|delivery| delivery.shard != shard);
                !batch.is_empty()
            }
        });
    }

    /// What comes next; waits until something does. `None` when the connection is closed.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<InboxRead> {
        loop {
            if let Some(read) = self.out.pop_front() {
                return Some(read);
            }
            tokio::select! {
                news = self.pulls.next() => self.sort(news?),
                Some(repaired) = self.repairs.join_next() => {
                    if let Ok((shard, taken)) = repaired {
                        self.repaired(shard, taken);
                    }
                }
                Ok(()) = self.reconnects.changed() => {
                    let shards: Vec<u16> = self.shards.keys().copied().collect();
                    shards.into_iter().for_each(|shard| self.repair(shard, true));
                }
            }
        }
    }

    fn sort(&mut self, news: VecDeque<News<u16>>) {
        let mut batch = Vec::with_capacity(news.len().min(BATCH_MAX));
        for item in news {
            match item {
                News::Message(shard, message) => {
                    let Some(delivery) = Delivery::read(message, &self.connection) else {
                        continue;
                    };
                    let (delivery, caught_up) = self.deliver(shard, delivery);
                    batch.extend(delivery);
                    if caught_up || batch.len() >= BATCH_MAX {
                        self.out.push_back(InboxRead::Batch(std::mem::take(&mut batch)));
                    }
                    if caught_up {
                        self.out.push_back(InboxRead::CaughtUp { shard });
                    }
                }
                News::Gone(shard) => self.repair(shard, false),
            }
        }
        if !batch.is_empty() {
            self.out.push_back(InboxRead::Batch(batch));
        }
    }

    fn deliver(&mut self, shard: u16, delivery: Delivery) -> (Option<InboxDelivery>, bool) {
        let Some(reading) = self.shards.get_mut(&shard) else {
            return (None, false);
        };
        let caught_up = reading.came(delivery.sequence);
        self.next_id += 1;
        lock(&self.unacked).insert(self.next_id, (shard, delivery.reply));
        let delivery = InboxDelivery {
            id: self.next_id,
            shard,
            epoch: reading.epoch,
            address: InboxSubject::parse(&delivery.subject),
            subject: delivery.subject,
            sequence: delivery.sequence,
            delivered: delivery.delivered,
            pending: delivery.pending,
            stored_at_ms: delivery.stored_at_ms,
            payload: delivery.payload,
        };
        (Some(delivery), caught_up)
    }

    /// Looks, beside the reading, why a consumer is not there, and makes it again if it is ours;
    /// `again` even where it is there.
    fn repair(&mut self, shard: u16, again: bool) {
        let Some(reading) = self.shards.get_mut(&shard).filter(|shard| !shard.repairing) else {
            return;
        };
        reading.repairing = true;
        let (connection, topology) = (self.connection.clone(), self.topology.clone());
        let epoch = reading.epoch;
        self.repairs.spawn(async move {
            let mut taken = make(&connection, &topology, (shard, epoch), again).await;
            for _ in 0..REPAIR_TRIES {
                if !is_unanswered(&taken) {
                    break;
                }
                tokio::time::sleep(REPAIR_PAUSE).await;
                taken = make(&connection, &topology, (shard, epoch), again).await;
            }
            (shard, taken)
        });
    }

    fn repaired(&mut self, shard: u16, taken: Result<Taken, Error>) {
        let Some(reading) = self.shards.get_mut(&shard) else {
            return;
        };
        reading.repairing = false;
        match taken {
            Ok(taken) if taken.epoch != reading.epoch => {}
            Ok(taken) if taken.made => {
                let was_behind = reading.behind > 0;
                reading.behind = 0;
                reading.seen.clear();
                self.out.push_back(InboxRead::Rebuilt { shard });
                if was_behind {
                    self.out.push_back(InboxRead::CaughtUp { shard });
                }
            }
            Ok(_) => {}
            // What the bus could not answer now is looked at again when the pull is refused again.
            Err(Error::Ensure { source: ensure::Error::Api(error), .. }) => {
                tracing::warn!(shard, %error, "an inbox's consumer cannot be looked at")
            }
            Err(error) => {
                self.remove(shard);
                self.out.push_back(InboxRead::Lost { shard, error });
            }
        }
    }
}

impl Shard {
    /// Notes a message; whether it was the last of those that the inbox held when it was taken.
    fn came(&mut self, sequence: u64) -> bool {
        if self.behind == 0 || !self.seen.insert(sequence) {
            return false;
        }
        self.behind -= 1;
        if self.behind == 0 {
            self.seen = HashSet::new();
        }
        self.behind == 0
    }
}

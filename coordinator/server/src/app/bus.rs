//! What the API needs of the bus: commands out; answers, events and heartbeats in.
//!
//! One subscription each for the whole process. Events and heartbeats are hints: a reader that
//! falls behind loses some and reads the rows again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use maestro_schemas::api::runs::WhyReport;
use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::{Answered, Command, CommandAnswer};
use maestro_schemas::event::{Event, EventBatch};
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::{CommandId, RunId, WorkerId};
use maestro_schemas::name::PoolName;
use maestro_streams::connect::{Connection, Error, Subscription};
use maestro_streams::publish::{PublishResult, Publisher};
use maestro_streams::topology::address::HeartbeatSubject;
use maestro_streams::topology::subject;
use tokio::sync::{broadcast, oneshot};
use tokio::task::JoinSet;

/// How many hints a slow reader may be behind before it loses some.
const HINTS_KEPT: usize = 4_096;

/// A worker that has not spoken for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The most workers that are kept in mind.
const WORKERS_MAX: usize = 10_000;

/// How long an owner may take to say why a run waits.
const WHY_TIME_MAX: Duration = Duration::from_secs(2);

/// What was heard of a run.
#[derive(Debug, Clone)]
pub enum Hint {
    /// A commit told it.
    Told(Arc<Event>),
    /// A worker has it in hand.
    Heard(Arc<Heartbeat>),
}

type Waiting = Mutex<HashMap<CommandId, oneshot::Sender<CommandAnswer>>>;
type Workers = Mutex<HashMap<(PoolName, WorkerId), (Instant, Arc<Heartbeat>)>>;

struct Shared {
    waiting: Waiting,
    workers: Workers,
    hints: broadcast::Sender<Hint>,
}

/// The API's side of the bus.
pub struct Bus {
    connection: Connection,
    publisher: Publisher,
    answer_to: String,
    shared: Arc<Shared>,
    _listeners: JoinSet<()>,
}

/// An answer that is waited for; forgotten when dropped.
pub struct Awaited {
    command: CommandId,
    shared: Arc<Shared>,
    /// Yields the answer.
    pub answer: oneshot::Receiver<CommandAnswer>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        locked(&self.shared.waiting).remove(&self.command);
    }
}

impl Bus {
    /// Begins to listen. The connection's role must be [`maestro_streams::topology::permission::Role::Api`] or
    /// the coordinator's.
    pub async fn open(connection: Connection) -> Result<Self, Error> {
        let publisher = Publisher::open(&connection).await?;
        let answer_to = connection.new_inbox();
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            workers: Mutex::default(),
            hints: broadcast::Sender::new(HINTS_KEPT),
        });
        let mut listeners = JoinSet::new();
        let answers = connection.subscribe(&answer_to).await?;
        listeners.spawn(hear_answers(answers, Arc::clone(&shared)));
        let events = connection.subscribe(&subject::events()).await?;
        listeners.spawn(hear_events(events, Arc::clone(&shared)));
        let heartbeats = connection.subscribe(&subject::heartbeats()).await?;
        listeners.spawn(hear_heartbeats(heartbeats, Arc::clone(&shared)));
        Ok(Self { connection, publisher, answer_to, shared, _listeners: listeners })
    }

    /// The connection, for tails of streams.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the bus can be reached now.
    pub fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    /// The inbox that answers come to.
    pub fn answer_to(&self) -> String {
        self.answer_to.clone()
    }

    /// Begins to wait for a command's answer; before the command is sent.
    pub fn expect(&self, command: CommandId) -> Awaited {
        let (tell, answer) = oneshot::channel();
        locked(&self.shared.waiting).insert(command, tell);
        Awaited { command, shared: Arc::clone(&self.shared), answer }
    }

    /// Puts a command into a shard's inbox.
    pub async fn send(&self, shard: u16, command: Command) -> PublishResult {
        let to = subject::inbox_command(shard, command.run);
        match codec::encode(&InboxMessage::Command(Box::new(command))) {
            Ok(bytes) => self.publisher.publish(to, bytes.into()).await,
            Err(error) => PublishResult::Refused(error.to_string()),
        }
    }

    /// Asks the owner of a run why its steps wait; absent where nobody answers.
    pub async fn why(&self, run: RunId) -> Option<WhyReport> {
        let bytes = codec::encode(&run).ok()?;
        let to = subject::rpc("run", "why")?;
        let reply = self.connection.request(to, bytes.into(), WHY_TIME_MAX).await.ok()?;
        codec::decode::<Option<WhyReport>>(&reply).ok().flatten()
    }

    /// Listens to hints from now on.
    pub fn listen(&self) -> broadcast::Receiver<Hint> {
        self.shared.hints.subscribe()
    }

    /// The last word of every worker that lives.
    pub fn workers(&self) -> Vec<Arc<Heartbeat>> {
        let mut workers = locked(&self.shared.workers);
        workers.retain(|_, (at, _)| at.elapsed() < SILENCE_MAX);
        workers.values().map(|(_, heartbeat)| Arc::clone(heartbeat)).collect()
    }
}

async fn hear_answers(mut answers: Subscription, shared: Arc<Shared>) {
    while let Some(received) = answers.next().await {
        let Ok(answered) = codec::decode::<Answered>(&received.payload) else { continue };
        if let Some(tell) = locked(&shared.waiting).remove(&answered.command) {
            let _ = tell.send(answered.answer);
        }
    }
}

async fn hear_events(mut events: Subscription, shared: Arc<Shared>) {
    while let Some(received) = events.next().await {
        let Ok(batch) = codec::decode::<EventBatch>(&received.payload) else { continue };
        if shared.hints.receiver_count() == 0 {
            continue;
        }
        for event in batch.entries {
            let _ = shared.hints.send(Hint::Told(Arc::new(event)));
        }
    }
}

async fn hear_heartbeats(mut heartbeats: Subscription, shared: Arc<Shared>) {
    while let Some(received) = heartbeats.next().await {
        let Some(address) = HeartbeatSubject::parse(&received.subject) else { continue };
        let Ok(heartbeat) = codec::decode::<Heartbeat>(&received.payload) else { continue };
        if heartbeat.pool == address.pool && heartbeat.worker == address.worker {
            shared.note(Arc::new(heartbeat));
        }
    }
}

impl Shared {
    fn note(&self, heartbeat: Arc<Heartbeat>) {
        let mut workers = locked(&self.workers);
        let key = (heartbeat.pool.clone(), heartbeat.worker);
        if heartbeat.leaving {
            workers.remove(&key);
        } else if workers.len() < WORKERS_MAX || workers.contains_key(&key) {
            workers.insert(key, (Instant::now(), Arc::clone(&heartbeat)));
        } else {
            workers.retain(|_, (at, _)| at.elapsed() < SILENCE_MAX);
        }
        drop(workers);
        let _ = self.hints.send(Hint::Heard(heartbeat));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

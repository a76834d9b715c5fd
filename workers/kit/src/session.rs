//! A worker process: for each of its pools a session with the bus, from the first heartbeat to the
//! last.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::action::ActionInfo;
use maestro_schemas::id::WorkerId;
use maestro_schemas::name::PoolName;
use maestro_streams::connect::{self, ConnectOptions, Connection};
use maestro_streams::fetch::tasks::{Reading, TaskQueue};
use maestro_streams::publish::Publisher;
use maestro_streams::topology::subject;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::action::Handler;
use crate::carry::GRACE;
use crate::registry::Registry;
use crate::report::{Finished, send_reports};
use crate::router::{Near, RouterClient};
use crate::solitude::Solitude;
use crate::{cancel, heartbeat, take};

/// The most slots of a pool in one process.
pub const SLOTS_MAX: u32 = 4_096;
/// How long the reports of the last executions may take when a worker ends.
const LAST_REPORTS: Duration = Duration::from_secs(10);

/// Why a worker does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection to the bus for a pool.
    #[error("pool {pool} cannot be served")]
    Connect {
        /// The pool.
        pool: PoolName,
        /// Why.
        #[source]
        source: connect::Error,
    },
    /// A pool has no slots, or more than [`SLOTS_MAX`].
    #[error("pool {pool} has {found} slots; expected 1 to {SLOTS_MAX}")]
    Slots {
        /// The pool.
        pool: PoolName,
        /// What was asked for.
        found: u32,
    },
}

/// What the pools of a process share.
#[derive(Clone)]
pub struct WorkerConfig {
    /// Its name for people, as `host-1234`.
    pub name: String,
    /// Below this, executions have their directories.
    pub scratch: PathBuf,
    /// Where bytes are kept.
    pub store: ArtifactStore,
    /// How long what runs may go on after a drain begins; then it is stopped and given back.
    pub drain_max: Duration,
    /// The router, where it is in this process; else it is asked over the bus.
    pub router: Option<Arc<dyn Near>>,
}

/// A pool that a process serves.
#[derive(Clone)]
pub struct PoolConfig {
    /// The pool.
    pub pool: PoolName,
    /// How many executions may run together, from 1 to [`SLOTS_MAX`]; of several pools with the same
    /// handler together, as many as the first of them says.
    pub slots: u32,
    /// Whether tasks are held in advance and need no solitude: only for short tasks.
    pub prefetch: bool,
    /// How it connects; the user may do this pool's work and no other.
    pub connect: ConnectOptions,
    /// What it does.
    pub handler: Arc<dyn Handler>,
}

/// A worker process at work.
pub struct Worker {
    id: WorkerId,
    draining: CancellationToken,
    sessions: JoinSet<()>,
}

/// What everything about one pool of a process needs.
pub(crate) struct Pool {
    pub(crate) name: PoolName,
    pub(crate) worker: WorkerId,
    pub(crate) worker_name: String,
    pub(crate) slots: u32,
    /// What is left of them; pools of one handler share it.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) actions: Vec<ActionInfo>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) store: ArtifactStore,
    pub(crate) scratch: PathBuf,
    pub(crate) connection: Connection,
    pub(crate) logs: Connection,
    pub(crate) router: RouterClient,
    pub(crate) publisher: Publisher,
    pub(crate) registry: Arc<Registry>,
    pub(crate) solitude: Solitude,
    /// From which delivery on a task runs alone.
    pub(crate) alone_from: u32,
    pub(crate) reports: mpsc::Sender<Finished>,
    pub(crate) draining: CancellationToken,
}

impl Pool {
    pub(crate) fn serves(&self, action: &str) -> bool {
        self.actions.iter().any(|info| info.serves(action))
    }
}

impl Worker {
    /// Connects every pool and begins to work.
    pub async fn start(config: WorkerConfig, pools: Vec<PoolConfig>) -> Result<Self, Error> {
        let id = WorkerId::generate();
        let draining = CancellationToken::new();
        let solitude = Solitude::default();
        let mut sessions = JoinSet::new();
        let mut rooms: Vec<(Arc<dyn Handler>, Arc<Semaphore>)> = Vec::new();
        for pool in pools {
            let room = room_of(&pool, &mut rooms);
            let shared = (id, draining.clone(), solitude.clone(), room);
            let session = Session::open(&config, pool, shared).await?;
            sessions.spawn(session.run(config.drain_max));
        }
        Ok(Self { id, draining, sessions })
    }

    /// Its id, as its heartbeats bear it.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Takes no more tasks, and ends when those in hand have ended. Calling it again changes
    /// nothing.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Waits until every pool has ended: after [`Self::drain`], after a drain message, or when the
    /// bus is gone for good. Cancel-safe.
    pub async fn finished(&mut self) {
        while let Some(ended) = self.sessions.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a pool's session broke");
            }
        }
    }
}

/// The slots of a pool, which are those of the first pool with the same handler.
fn room_of(
    pool: &PoolConfig,
    rooms: &mut Vec<(Arc<dyn Handler>, Arc<Semaphore>)>,
) -> Arc<Semaphore> {
    if let Some((_, room)) = rooms.iter().find(|(known, _)| Arc::ptr_eq(known, &pool.handler)) {
        return Arc::clone(room);
    }
    let slots = usize::try_from(pool.slots.min(SLOTS_MAX)).unwrap_or(1);
    let room = Arc::new(Semaphore::new(slots));
    rooms.push((Arc::clone(&pool.handler), Arc::clone(&room)));
    room
}

/// What a process' pools share, and the slots of this one.
type Shared = (WorkerId, CancellationToken, Solitude, Arc<Semaphore>);

/// One pool of a process, connected.
struct Session {
    pool: Arc<Pool>,
    queue: TaskQueue,
    told: connect::Subscription,
    finished: mpsc::Receiver<Finished>,
}

impl Session {
    async fn open(
        config: &WorkerConfig,
        pool: PoolConfig,
        (worker, draining, solitude, room): Shared,
    ) -> Result<Self, Error> {
        let name = pool.pool.clone();
        if !(1..=SLOTS_MAX).contains(&pool.slots) {
            return Err(Error::Slots { pool: name, found: pool.slots });
        }
        let opened = Opened::open(&pool).await;
        let opened = opened.map_err(|source| Error::Connect { pool: name, source })?;
        let (reports, finished) = mpsc::channel(usize::try_from(pool.slots).unwrap_or(1));
        let alone_from = if pool.prefetch { u32::MAX } else { pool.handler.alone_from() };
        let shared = Pool {
            name: pool.pool,
            worker,
            worker_name: config.name.clone(),
            slots: pool.slots,
            room,
            actions: pool.handler.actions(),
            handler: pool.handler,
            store: config.store.clone(),
            scratch: config.scratch.join(worker.to_string()),
            connection: opened.connection,
            router: RouterClient::over(opened.logs.clone(), config.router.clone()),
            logs: opened.logs,
            publisher: opened.publisher,
            registry: Arc::default(),
            solitude,
            alone_from,
            reports,
            draining,
        };
        Ok(Self { pool: Arc::new(shared), queue: opened.queue, told: opened.told, finished })
    }

    async fn run(self, drain_max: Duration) {
        let pool = self.pool;
        let background = [
            tokio::spawn(heartbeat::beat(Arc::clone(&pool))),
            tokio::spawn(cancel::heed(Arc::clone(&pool), self.told)),
        ]
        .map(AbortOnDropHandle::new);
        let reporting = tokio::spawn(send_reports(Arc::clone(&pool), self.finished));
        let reporting = AbortOnDropHandle::new(reporting);
        let executions = TaskTracker::new();
        take::take_tasks(Arc::clone(&pool), self.queue, executions.clone()).await;
        executions.close();
        end_executions(&pool, &executions, drain_max).await;
        settle(&pool).await;
        drop((background, reporting));
        heartbeat::say(&pool, false, true).await;
        tokio::join!(pool.connection.close(), pool.logs.close());
        remove_if_empty(&pool.scratch).await;
    }
}

/// Waits for what runs; what does not end in time is stopped, and goes back to the pool.
async fn end_executions(pool: &Pool, executions: &TaskTracker, drain_max: Duration) {
    if tokio::time::timeout(drain_max, executions.wait()).await.is_ok() {
        return;
    }
    tracing::warn!("what still runs is stopped and given back");
    pool.registry.give_up();
    if tokio::time::timeout(GRACE * 2, executions.wait()).await.is_err() {
        tracing::error!("an execution did not end; its task will be delivered again");
    }
}

/// Waits until every report in hand is sent, for a moment.
async fn settle(pool: &Pool) {
    let sent = async {
        while !pool.registry.is_empty() {
            pool.registry.emptied.notified().await;
        }
    };
    if tokio::time::timeout(LAST_REPORTS, sent).await.is_err() {
        tracing::error!("reports were not sent in time; their attempts begin anew elsewhere");
    }
}

async fn remove_if_empty(directory: &std::path::Path) {
    if let Err(error) = tokio::fs::remove_dir(directory).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::debug!(%error, "a worker's directory stays");
    }
}

/// A pool's connections, and what is opened on them.
struct Opened {
    connection: Connection,
    logs: Connection,
    publisher: Publisher,
    queue: TaskQueue,
    told: connect::Subscription,
}

impl Opened {
    async fn open(pool: &PoolConfig) -> Result<Self, connect::Error> {
        let connection = Connection::open(pool.connect.clone()).await?;
        let logs = ConnectOptions {
            name: format!("{} (logs)", pool.connect.name),
            ..pool.connect.clone()
        };
        let logs = Connection::open(logs).await?;
        let reading = match pool.prefetch {
            true => Reading::Prefetch { batch: pool.slots },
            false => Reading::Exact,
        };
        Ok(Self {
            publisher: Publisher::open(&connection).await?,
            queue: TaskQueue::open(&connection, &pool.pool, reading).await?,
            told: connection.subscribe(&subject::control_all(&pool.pool)).await?,
            connection,
            logs,
        })
    }
}

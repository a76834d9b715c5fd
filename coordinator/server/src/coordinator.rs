//! The process `maestro coordinator`: brings the database and the bus to their form, then folds.

use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::id::CoordinatorId;
use maestro_streams::connect::{self, ConnectOptions, Connection};
use maestro_streams::ensure;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::Topology;
use maestro_telemetry::metrics::Metrics;
use sqlx::Connection as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::background::auditor::{self, Auditor};
use crate::background::books;
use crate::background::collector::{self, Collector};
use crate::background::notices;
use crate::background::retention::{self, Keep};
use crate::fold::{self, Shell};
use crate::notary::keys::Keys;
use crate::notary::{self, Notary};
use crate::store;

/// Connections for what is not the fold.
const POOL_MAX: u32 = 5;

/// How long a database that is just starting is waited for.
const DATABASE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a page of objects that is being collected, or a turn of the auditor, may take to its end,
/// when told to stop.
const APART_STOP_MAX: Duration = Duration::from_secs(5);

/// What a coordinator needs.
#[derive(Debug, Clone)]
pub struct CoordinatorConfig {
    /// Its name, the same after a restart: it takes its shards back at once.
    pub name: String,
    /// Where the bus is, and as whom.
    pub bus: ConnectOptions,
    /// Where Postgres is.
    pub database_url: String,
    /// Where bytes are.
    pub store: ArtifactStore,
    /// How the streams are laid out.
    pub topology: Topology,
    /// How long rows are kept that are only looked back at.
    pub keep: Keep,
    /// What signs the evidence of runs and the audit log; without keys nothing is signed.
    pub keys: Option<Keys>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why a coordinator cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error("the database cannot be used")]
    Database(#[from] store::Error),
    /// The database did not answer.
    #[error("the database did not answer within {} s", DATABASE_WAIT_MAX.as_secs())]
    Unreachable(#[source] sqlx::Error),
    /// The bus cannot be reached.
    #[error("the bus cannot be reached")]
    Bus(#[from] connect::Error),
    /// The bus lacks something, or its streams have another form.
    #[error("the bus cannot be used as it is")]
    Streams(#[from] ensure::Error),
    /// The system gives no thread.
    #[error("the system gives no thread")]
    Thread(#[source] std::io::Error),
    /// The thread ended without a word.
    #[error("the coordinator's thread panicked")]
    Panicked,
    /// The fold ended.
    #[error("the fold ended")]
    Fold(#[from] fold::Error),
}

/// A coordinator on a thread of its own: folding shares a core with nothing else of the process.
#[derive(Debug)]
pub struct Running(oneshot::Receiver<Result<(), Error>>);

/// Starts a coordinator that runs until `stop`; then it gives its shards up and ends.
///
/// # Errors
/// [`Error::Thread`] where the system gives no thread.
pub fn start(config: CoordinatorConfig, stop: CancellationToken) -> Result<Running, Error> {
    let (say, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let fold = move || {
        let _ = say.send(runtime.block_on(run(config, stop)));
    };
    std::thread::Builder::new().name("fold".into()).spawn(fold).map_err(Error::Thread)?;
    Ok(Running(ended))
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// Why it ended, where it was not asked to.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.0).await.unwrap_or(Err(Error::Panicked))
    }
}

async fn run(config: CoordinatorConfig, stop: CancellationToken) -> Result<(), Error> {
    let database = store::connect::options(&config.database_url)?;
    prepare(&database, config.topology.shards).await?;
    let bus = Connection::open(config.bus.clone()).await?;
    let voice = Connection::open(config.bus.clone()).await?;
    ensure::check_server(&bus).await?;
    ensure::ensure(&bus, &config.topology.streams()).await?;
    let pool = store::connect::pool(database.clone(), POOL_MAX);
    let publisher = Publisher::open(&voice).await?;
    let telling = tokio::spawn(notices::run(pool.clone(), publisher, stop.clone()));
    let settling = tokio::spawn(books::run(pool.clone(), stop.clone()));
    let expiring = retention::run(pool.clone(), config.keep, config.metrics.clone(), stop.clone());
    let expiring = tokio::spawn(expiring);
    let audited = config.keys.clone().map(|keys| {
        let (database, store) = (database.clone(), config.store.clone());
        let auditor = Auditor::new(database, store, Arc::new(keys), stop.clone());
        let metrics = config.metrics.clone();
        apart("auditor", move || auditor::run(auditor, metrics))
    });
    let auditing = audited.transpose()?;
    let notary =
        config.keys.map(|keys| Notary { pool: pool.clone(), store: config.store.clone(), keys });
    let signing = notary.map(|notary| tokio::spawn(notary::run(notary, stop.clone())));
    let collector = Collector::new(database.clone(), config.store.clone(), stop.clone());
    let metrics = config.metrics;
    let collecting = apart("collector", move || collector::run(collector, metrics))?;
    let shell = Shell {
        name: config.name,
        incarnation: CoordinatorId::generate(),
        bus: bus.clone(),
        voice: voice.clone(),
        pool,
        database,
        store: config.store,
        topology: config.topology,
    };
    let ended = fold::run(shell, stop).await;
    telling.abort();
    settling.abort();
    expiring.abort();
    if let Some(signing) = signing {
        signing.abort();
    }
    bus.close().await;
    voice.close().await;
    let _ = tokio::time::timeout(APART_STOP_MAX, collecting).await;
    if let Some(auditing) = auditing {
        let _ = tokio::time::timeout(APART_STOP_MAX, auditing).await;
    }
    Ok(ended?)
}

/// Does what would hold the fold up on a thread of its own; the answer comes with its end.
fn apart<F: Future<Output = ()>>(
    name: &'static str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<oneshot::Receiver<()>, Error> {
    let (say, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Thread)?;
    let work = move || {
        runtime.block_on(work());
        let _ = say.send(());
    };
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(Error::Thread)?;
    Ok(ended)
}

/// Brings the tables to this build's form and lays the shards out, once the database answers.
async fn prepare(database: &sqlx::postgres::PgConnectOptions, shards: u16) -> Result<(), Error> {
    let until = tokio::time::Instant::now() + DATABASE_WAIT_MAX;
    let mut conn = loop {
        match sqlx::PgConnection::connect_with(database).await {
            Ok(conn) => break conn,
            Err(error) if tokio::time::Instant::now() >= until => {
                return Err(Error::Unreachable(error));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    };
    store::migrate(&mut conn).await?;
    store::shard::ensure_shards(&mut conn, shards).await?;
    Ok(())
}

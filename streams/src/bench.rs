//! The raw bus: what a step costs on it when nothing is decided and nothing is committed.
//!
//! Two publishes and two consumes a step, on streams of the same configuration, subjects and
//! sizes as the real ones: a task is published, taken and answered by a report, which is taken;
//! both are acked. `benches/bus` and `maestro bench` call it; the share of this rate that a run
//! reaches is the `bus_share` of the benchmark.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};
use tokio::time::Instant;

use crate::connect::{ConnectOptions, Connection};
use crate::delivery::Delivery;
use crate::ensure;
use crate::fetch::inbox::{self, InboxRead, InboxReader};
use crate::fetch::tasks::{Reading, TaskQueue};
use crate::publish::{PublishResult, Publisher};
use crate::topology::address::TaskSubject;
use crate::topology::{StreamSpec, Topology, subject};

/// For how long nothing may arrive before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many publishes of reports a worker has on their way.
const REPORTS_IN_FLIGHT: usize = 512;

/// What is measured.
#[derive(Debug, Clone)]
pub struct BusConfig {
    /// How the side that publishes tasks connects. It makes the streams, so it needs the rights
    /// of a coordinator. Its inbox is one beyond the topology's, so that no shard is disturbed.
    pub coordinator: ConnectOptions,
    /// How the side that takes tasks connects.
    pub worker: ConnectOptions,
    /// The pool whose stream carries the tasks; nobody else's.
    pub pool: PoolName,
    /// The streams' configuration.
    pub topology: Topology,
    /// How many steps to carry.
    pub steps: u32,
    /// How many steps may be on the bus together.
    pub window: u32,
    /// How many tasks are held in advance.
    pub batch: u32,
    /// The size of a task, in bytes.
    pub task_bytes: usize,
    /// The size of a report, in bytes.
    pub report_bytes: usize,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error("the bus cannot be measured")]
    Connect(#[from] crate::connect::Error),
    /// The streams cannot be made.
    #[error("the bus cannot be measured")]
    Ensure(#[from] ensure::Error),
    /// The streams of a former measurement cannot be removed.
    #[error("the bus cannot be measured")]
    Api(#[from] crate::api::Error),
    /// The inbox cannot be read.
    #[error("the bus cannot be measured")]
    Inbox(#[from] inbox::Error),
    /// Nothing arrived for too long.
    #[error("the bus stood still after {done} of {of} steps")]
    StoodStill {
        /// Steps that were carried.
        done: u32,
        /// Steps that were wanted.
        of: u32,
    },
    /// A publish was refused.
    #[error("the bus refused a message: {0:?}")]
    Refused(PublishResult),
}

/// Carries `config.steps` steps; answers steps per second.
pub async fn measure(config: &BusConfig) -> Result<f64, Error> {
    let reading = Connection::open(config.coordinator.clone()).await?;
    let publishing = Connection::open(config.coordinator.clone()).await?;
    let pool = config.topology.pool(&config.pool);
    let streams = [config.topology.inbox(config.shard()), pool];
    remove(&reading, &streams).await?;
    ensure::ensure(&reading, &streams).await?;
    let taken = inbox::take(&reading, &config.topology, config.shard(), 1).await?;
    let mut reader = InboxReader::open(&reading, &config.topology).await?;
    reader.add(&taken);
    let worker = AbortOnDrop(tokio::spawn(work(config.clone())));
    let publisher = Publisher::open(&publishing).await?;
    let measured = conduct(config, &publisher, &mut reader).await;
    drop(worker);
    remove(&reading, &streams).await?;
    measured
}

/// The worker's side, which ends with the measurement.
struct AbortOnDrop(tokio::task::JoinHandle<Result<(), Error>>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl BusConfig {
    fn shard(&self) -> u16 {
        self.topology.shards
    }
}

async fn remove(connection: &Connection, streams: &[StreamSpec]) -> Result<(), Error> {
    for stream in streams {
        crate::admin::delete_stream(connection, &stream.name).await?;
    }
    Ok(())
}

/// Runs [`measure`] for every window and batch of a sweep; answers the best with its settings.
pub async fn best_of(
    config: &BusConfig,
    windows: &[u32],
    batches: &[u32],
) -> Result<(f64, u32, u32), Error> {
    let mut best = (0.0, 0, 0);
    for window in windows {
        for batch in batches {
            let config = BusConfig { window: *window, batch: *batch, ..config.clone() };
            let rate = measure(&config).await?;
            if rate > best.0 {
                best = (rate, *window, *batch);
            }
        }
    }
    Ok(best)
}

async fn conduct(
    config: &BusConfig,
    publisher: &Publisher,
    reader: &mut InboxReader,
) -> Result<f64, Error> {
    let acks = reader.acks();
    let run = RunId::generate();
    let payload = Bytes::from(vec![b'x'; config.task_bytes]);
    let tasks = |from: u32, to: u32| -> Vec<((), subject::Subject, Bytes)> {
        let one = |step| {
            let step = StepAddress::item(0, step);
            let token = AttemptToken { number: 1, epoch: 1 };
            let subject = subject::task(&config.pool, Priority::Normal, run, step, token);
            ((), subject, payload.clone())
        };
        (from..to).map(one).collect()
    };
    let started = Instant::now();
    let (mut sent, mut done) = (0, 0);
    let mut publishes = FuturesUnordered::new();
    while done < config.steps {
        let to = config.steps.min(done + config.window);
        if to > sent {
            publishes.push(publisher.publish_all(tasks(sent, to)));
            sent = to;
        }
        tokio::select! {
            Some(results) = publishes.next() => check(results)?,
            read = tokio::time::timeout(PATIENCE, reader.next()) => match read {
                Ok(Some(InboxRead::Batch(batch))) => {
                    let ids: Vec<u64> = batch.iter().map(|delivery| delivery.id).collect();
                    acks.ack(&ids).await;
                    done += u32::try_from(ids.len()).unwrap_or(u32::MAX);
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Err(Error::StoodStill { done, of: config.steps }),
            },
        }
    }
    Ok(f64::from(config.steps) / started.elapsed().as_secs_f64())
}

fn check(results: Vec<((), PublishResult)>) -> Result<(), Error> {
    match results.into_iter().find(|(_, result)| !result.is_there()) {
        Some((_, result)) => Err(Error::Refused(result)),
        None => Ok(()),
    }
}

async fn work(config: BusConfig) -> Result<(), Error> {
    let connection = Connection::open(config.worker.clone()).await?;
    let publisher = Publisher::open(&connection).await?;
    let reading = Reading::Prefetch { batch: config.batch };
    let mut queue = TaskQueue::open(&connection, &config.pool, reading).await?;
    let report = Bytes::from(vec![b'r'; config.report_bytes]);
    let mut reports = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = reports.next() => {}
            tasks = queue.next(REPORTS_IN_FLIGHT), if reports.len() < REPORTS_IN_FLIGHT => {
                for task in tasks.unwrap_or_default() {
                    reports.push(answer(&publisher, config.shard(), task, report.clone()));
                }
            }
        }
    }
}

async fn answer(publisher: &Publisher, shard: u16, task: Delivery, report: Bytes) {
    let Some(address) = TaskSubject::parse(&task.subject) else {
        return;
    };
    let subject = subject::inbox_report(shard, &address.pool, Some(address.run));
    if publisher.publish(subject, report).await.is_there() {
        task.ack().await;
    }
}

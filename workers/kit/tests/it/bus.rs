//! The coordinator's side of the bus, and a pool whose actions the tests choose.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use maestro_evidence::store::ArtifactStore;
use maestro_kit::action::{Carried, Execution, Handler};
use maestro_kit::session::{PoolConfig, Worker, WorkerConfig};
use maestro_schemas::action::{ActionInfo, Effect};
use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::outcome::{Failure, FailureClass, Outcome};
use maestro_schemas::plan::{Priority, Resources, Workspace};
use maestro_schemas::report::Report;
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;
use maestro_streams::connect::{Connection, Subscription};
use maestro_streams::ensure;
use maestro_streams::fetch::inbox::{self, InboxAcks, InboxRead, InboxReader};
use maestro_streams::publish::Publisher;
use maestro_streams::topology::subject::{self, Subject};
use maestro_streams::topology::{Role, Sizes, Topology};
use tokio::sync::Semaphore;

use crate::server::Server;

pub const SHARD: u16 = 1;

pub fn pool() -> PoolName {
    "test".parse().expect("a name")
}

pub async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what).await.expect("it happens in time")
}

pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    within(Duration::from_secs(30), what).await
}

/// A bus with one pool's streams, read as a coordinator does.
pub struct Bus {
    pub server: Server,
    pub connection: Connection,
    pub publisher: Publisher,
    reader: InboxReader,
    acks: InboxAcks,
    reports: Vec<Report>,
    heartbeats: Subscription,
    directory: tempfile::TempDir,
}

impl Bus {
    pub async fn start() -> Self {
        Self::with(Sizes::default()).await
    }

    pub async fn with(sizes: Sizes) -> Self {
        let roles = [Role::Coordinator, Role::Worker(pool())];
        let server = Server::with_roles(&roles);
        let connection = server.connect(&Role::Coordinator).await;
        let topology = Topology { shards: 2, sizes, ..Topology::default() };
        let mut wanted = topology.streams();
        wanted.push(topology.pool(&pool()));
        ensure::ensure(&connection, &wanted).await.expect("made");
        let taken = inbox::take(&connection, &topology, SHARD, 1).await.expect("taken");
        let mut reader = InboxReader::open(&connection, &topology).await.expect("a reader");
        reader.add(&taken);
        Self {
            publisher: Publisher::open(&connection).await.expect("a publisher"),
            heartbeats: connection.subscribe(&subject::heartbeats()).await.expect("a subscription"),
            acks: reader.acks(),
            reader,
            reports: Vec::new(),
            connection,
            server,
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    pub fn store(&self) -> ArtifactStore {
        ArtifactStore::local(self.directory.path().join("objects")).expect("a store")
    }

    pub fn scratch(&self) -> std::path::PathBuf {
        self.directory.path().join("scratch")
    }

    pub async fn worker(&self, slots: u32, prefetch: bool, pool_of: &TestPool) -> Worker {
        let config = WorkerConfig {
            name: "test-worker".to_owned(),
            scratch: self.scratch(),
            store: self.store(),
            drain_max: Duration::from_secs(20),
            router: None,
        };
        self.worker_of(config, slots, prefetch, pool_of).await
    }

    pub async fn worker_of(
        &self,
        config: WorkerConfig,
        slots: u32,
        prefetch: bool,
        pool_of: &TestPool,
    ) -> Worker {
        let pool_config = PoolConfig {
            pool: pool(),
            slots,
            prefetch,
            connect: self.server.options(&Role::Worker(pool())),
            handler: Arc::new(pool_of.clone()),
        };
        Worker::start(config, vec![pool_config]).await.expect("it starts")
    }

    pub async fn publish(&self, task: &Task) {
        let bytes = codec::encode(task).expect("it encodes");
        self.publish_bytes(task_subject(task), bytes.into()).await;
    }

    pub async fn publish_bytes(&self, subject: Subject, bytes: Bytes) {
        let result = self.publisher.publish(subject, bytes).await;
        assert!(result.is_there(), "{result:?}");
    }

    pub async fn tell(&self, subject: Subject, message: &impl serde::Serialize) {
        let bytes = codec::encode(message).expect("it encodes");
        self.connection.tell(subject, bytes.into()).await;
    }

    /// The next report, acked.
    pub async fn report(&mut self) -> Report {
        soon(self.next_report()).await
    }

    pub async fn next_report(&mut self) -> Report {
        while self.reports.is_empty() {
            if let Some(InboxRead::Batch(batch)) = self.reader.next().await {
                for delivery in batch {
                    if let Ok(InboxMessage::Reports(reports)) = codec::decode(&delivery.payload) {
                        self.reports.extend(reports);
                    }
                    self.acks.ack(&[delivery.id]).await;
                }
            }
        }
        self.reports.remove(0)
    }

    /// The next heartbeat that is as wanted.
    pub async fn heartbeat(&mut self, wanted: impl Fn(&Heartbeat) -> bool) -> Heartbeat {
        soon(async {
            loop {
                let message = self.heartbeats.next().await.expect("the connection is open");
                let heartbeat = codec::decode(&message.payload).expect("it decodes");
                if wanted(&heartbeat) {
                    return heartbeat;
                }
            }
        })
        .await
    }

    /// How many tasks the pool's stream holds.
    pub async fn tasks_left(&self) -> u64 {
        let stream = maestro_streams::topology::task_stream(&pool());
        let state = maestro_streams::admin::stream_state(&self.connection, &stream).await;
        state.expect("an answer").expect("a stream").messages
    }
}

pub fn task_subject(task: &Task) -> Subject {
    subject::task(&task.pool, Priority::Normal, task.run, task.step, task.token)
}

pub fn task(action: &str) -> Task {
    Task {
        run: RunId::generate(),
        step: StepAddress::node(0),
        token: AttemptToken { number: 1, epoch: 1 },
        shard: SHARD,
        project: "demo".parse().expect("a name"),
        pipeline: None,
        pool: pool(),
        name: format!("stage/{action}"),
        action: action.to_owned(),
        with: b"{}".to_vec(),
        env: Default::default(),
        secrets: Default::default(),
        effect: Effect::Idempotent,
        idempotency_key: "key".to_owned(),
        timeout_ms: 60_000,
        resources: Resources::default(),
        isolation: None,
        network: None,
        workspace: Workspace::default(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        beside: Default::default(),
        cap_microusd: None,
        traceparent: None,
    }
}

/// Something that happens several times and is awaited as often.
#[derive(Clone)]
pub struct Times(Arc<Semaphore>);

impl Default for Times {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Times {
    pub fn once_more(&self) {
        self.0.add_permits(1);
    }

    pub async fn happened(&self) {
        self.0.acquire().await.expect("never closed").forget();
    }
}

/// Actions: `succeed`, `fail`, `panic`, `talk`, `scratch`, `wait` (until it is stopped or let go), `beside`
/// (what goes on beside it ends when it is let go), `deaf` (until it is dropped).
#[derive(Clone, Default)]
pub struct TestPool {
    pub let_go: Times,
    pub begun: Times,
    pub together: Arc<AtomicU32>,
    pub together_max: Arc<AtomicU32>,
}

impl TestPool {
    async fn run(self, execution: Execution) -> Outcome {
        let together = self.together.fetch_add(1, Ordering::SeqCst) + 1;
        self.together_max.fetch_max(together, Ordering::SeqCst);
        self.begun.once_more();
        let outcome = self.act(&execution).await;
        self.together.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    async fn act(&self, execution: &Execution) -> Outcome {
        match execution.task.action.as_str() {
            "fail" => {
                let mut failure = Failure::new(FailureClass::Permanent, "exit code 3");
                failure.exit_code = Some(3);
                let artifacts = Vec::new();
                Outcome::Failed { failure, artifacts }
            }
            "panic" => panic!("the action's own words"),
            "talk" => {
                for line in 0..1_000 {
                    execution.log.line(&format!("line {line}")).await;
                }
                Outcome::succeeded()
            }
            "scratch" => {
                let path = execution.scratch.path().await.expect("a directory");
                tokio::fs::write(path.join("file"), "x").await.expect("written");
                Outcome::succeeded()
            }
            "wait" => tokio::select! {
                () = execution.stop.cancelled() => Outcome::Cancelled { artifacts: Vec::new() },
                () = self.let_go.happened() => Outcome::succeeded(),
            },
            "beside" => {
                let let_go = self.let_go.clone();
                execution.beside.spawn(async move { let_go.happened().await });
                Outcome::succeeded()
            }
            "deaf" => std::future::pending().await,
            _ => Outcome::succeeded(),
        }
    }
}

impl Handler for TestPool {
    fn actions(&self) -> Vec<ActionInfo> {
        ["succeed", "fail", "panic", "talk", "scratch", "wait", "beside", "deaf"]
            .map(|name| ActionInfo {
                name: name.to_owned(),
                version: "1".to_owned(),
                pool: pool(),
                summary: String::new(),
                effect: Effect::Idempotent,
                with_schema: serde_json::json!({}),
            })
            .into()
    }

    fn carry_out(&self, execution: Execution) -> Carried {
        Box::pin(self.clone().run(execution))
    }
}

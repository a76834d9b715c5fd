//! Real servers for one test: nats-server and Postgres on loopback, each test its own.

use std::path::Path;
use std::time::Duration;

use maestro_cli::local::nats::{self, Nats};
use maestro_cli::local::nats_config::{Permissions, Rule, User};
use maestro_cli::local::postgres::{self, Postgres};
use maestro_cli::local::tools::Search;
use maestro_evidence::store::ArtifactStore;
use maestro_server::background::retention::Keep;
use maestro_server::coordinator::{self, CoordinatorConfig};
use maestro_streams::connect::ConnectOptions;
use maestro_streams::topology::{self, Role, Topology};
use maestro_telemetry::metrics::Metrics;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

mod database;
mod dead;
mod process;
pub mod record;
mod submit;
mod worker;

pub use database::Database;
pub use dead::DeadLetters;
pub use process::{Process, SCRIPTED_POOL, ScriptedWorker, maestro};
pub use submit::plan_of;
pub use worker::Scripted;

const PASSWORD: &str = "loopback";
const OBSERVER: &str = "observer";

/// How long anything that a test waits for may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// nats-server and Postgres of one test; both end when it is dropped.
pub struct Cluster {
    /// The bus.
    pub nats: Nats,
    /// The database.
    pub postgres: Postgres,
    /// Where bytes are.
    pub store: ArtifactStore,
    /// How the streams are laid out.
    pub topology: Topology,
    dir: TempDir,
}

/// A coordinator in this process.
pub struct Running {
    stop: CancellationToken,
    thread: coordinator::Running,
}

impl Cluster {
    /// Starts both servers, with one user for each role and for workers of `pools`.
    pub async fn start(pools: &[&str]) -> Self {
        // The first test of a process sets the log up; the others find it set.
        if let Ok(directives) = std::env::var("MAESTRO_LOG") {
            let _ = maestro_telemetry::logging::set_up(
                Some(&directives),
                maestro_telemetry::logging::Format::Text,
            );
        }
        let dir = tempfile::tempdir().expect("a directory");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
        let tools = Search::from_env(root)
            .find()
            .await
            .unwrap_or_else(|error| panic!("{error}; `make tools` gets it"));
        let submitter = Role::Submitter("default".parse().expect("a name"));
        let mut roles = vec![Role::Coordinator, Role::Api, submitter];
        roles.extend(pools.iter().map(|pool| Role::Worker(pool.parse().expect("a name"))));
        let mut options = nats::Options::new(&tools.nats_server.path, &dir.path().join("nats"));
        options.users = roles.iter().map(user).chain([observer()]).collect();
        let database =
            postgres::Options::new(tools.postgres, &dir.path().join("postgres"), PASSWORD);
        let (nats, postgres) = tokio::try_join!(Nats::start(options), Postgres::start(database))
            .expect("the servers start");
        let store = ArtifactStore::local(dir.path().join("objects")).expect("a store");
        Self { nats, postgres, store, topology: Topology::default(), dir }
    }

    /// A directory of this test's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// How `role` connects to the bus.
    pub fn bus(&self, role: &Role, name: &str) -> ConnectOptions {
        ConnectOptions::new(self.nats.url(), name, role).credentials(role.user(), PASSWORD)
    }

    /// Starts a coordinator in this process.
    pub fn coordinator(&self, name: &str) -> Running {
        let config = CoordinatorConfig {
            name: name.to_owned(),
            bus: self.bus(&Role::Coordinator, name),
            database_url: self.postgres.url(),
            store: self.store.clone(),
            topology: self.topology.clone(),
            keep: Keep::default(),
            keys: None,
            metrics: Metrics::new(),
        };
        let stop = CancellationToken::new();
        let thread = coordinator::start(config, stop.clone()).expect("a thread");
        Running { stop, thread }
    }

    /// A connection to the database, to look at rows.
    pub async fn rows(&self) -> sqlx::PgPool {
        sqlx::PgPool::connect(&self.postgres.url()).await.expect("the database answers")
    }
}

impl Running {
    /// Asks it to stop, and waits for its end.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.thread.ended().await.expect("a clean end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The server's user of a role, with exactly the role's permissions.
pub fn user(role: &Role) -> User {
    let allowed = topology::permissions(role);
    User {
        name: role.user(),
        password: PASSWORD.to_owned(),
        permissions: Permissions {
            publish: Rule::Only { allow: allowed.publish, deny: Vec::new() },
            subscribe: Rule::Only { allow: allowed.subscribe, deny: Vec::new() },
            responses: role.answers(),
        },
    }
}

/// A user of the tests' own, who may look at everything.
fn observer() -> User {
    User {
        name: OBSERVER.to_owned(),
        password: PASSWORD.to_owned(),
        permissions: Permissions::default(),
    }
}

/// Waits until `what` gives a value, at most [`PATIENCE`].
pub async fn until<T, F>(why: &str, what: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    until_within(PATIENCE, why, what).await
}

/// The same with a patience of its own.
pub async fn until_within<T, F>(patience: Duration, why: &str, mut what: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(value) = what().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "{why} did not come within {patience:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

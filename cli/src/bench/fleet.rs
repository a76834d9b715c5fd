//! Servers, a coordinator and a worker, each a process, in a directory that goes with them.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::codec;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::name::PoolName;
use maestro_streams::connect::{ConnectOptions, Connection};
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::noop;
use super::usage::{Usage, of_tree};
use crate::env_vars;
use crate::error::Error;
use crate::local::paths::Paths;
use crate::local::stack::{Options, Stack};
use crate::up::servers;

/// The pool whose streams carry the measurement of the raw bus.
pub const RAW_POOL: &str = "bench-raw";

/// For the worker to say that it is there.
const START_MAX: Duration = Duration::from_secs(30);

/// All processes of a measurement; they end when it is dropped.
pub struct Fleet {
    /// The servers.
    pub stack: Stack,
    coordinator: Child,
    worker: Child,
    _dir: TempDir,
}

/// What each process used.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Uses {
    /// nats-server.
    pub server: Usage,
    /// Postgres, all its processes.
    pub database: Usage,
    /// The coordinator.
    pub coordinator: Usage,
    /// The worker.
    pub worker: Usage,
}

impl Uses {
    /// What was used since `before`; memory is as it is now.
    pub const fn since(self, before: Self) -> Self {
        Self {
            server: self.server.since(before.server),
            database: self.database.since(before.database),
            coordinator: self.coordinator.since(before.coordinator),
            worker: self.worker.since(before.worker),
        }
    }
}

impl Fleet {
    /// Starts everything anew and waits until the worker is there.
    pub async fn start(slots: u32) -> Result<Self, Error> {
        let dir = tempfile::tempdir()
            .map_err(|source| Error::System { action: "make a directory", source })?;
        let paths = Paths::at(&dir.path().join("state"))?;
        let here = std::env::current_dir()
            .map_err(|source| Error::System { action: "find this directory", source })?;
        let mut options = Options::new(&here);
        options.users = roles().iter().map(|role| (role.user(), servers::allowed(role))).collect();
        let stack = Stack::start(paths, options).await?;
        ArtifactStore::local(stack.paths().objects())
            .map_err(|source| Error::service("open the artifact store", source))?;
        let watcher = Connection::open(bus(&stack, &Role::Coordinator)).await.map_err(no_bus)?;
        let mut heartbeats = watcher.subscribe(&subject::heartbeats()).await.map_err(no_bus)?;
        let url = stack.postgres.url();
        let coordinator =
            spawn(&stack, &Role::Coordinator, &["coordinator", "--name", "bench"], Some(&url))?;
        let slots = slots.to_string();
        let scratch = stack.paths().root().join("work");
        let arguments = [
            "worker",
            "--pool",
            noop::POOL,
            "--slots",
            &slots,
            "--scratch",
            &scratch.to_string_lossy(),
        ];
        let worker = spawn(&stack, &worker_role(noop::POOL), &arguments, None)?;
        let present = async {
            while let Some(received) = heartbeats.next().await {
                if codec::decode::<Heartbeat>(&received.payload).is_ok() {
                    return;
                }
            }
        };
        tokio::time::timeout(START_MAX, present).await.map_err(|_| {
            Error::service(
                "start the worker",
                format!("it said nothing for {} s", START_MAX.as_secs()),
            )
        })?;
        watcher.close().await;
        Ok(Self { stack, coordinator, worker, _dir: dir })
    }

    /// How a role of the measurement connects.
    pub fn bus(&self, role: &Role) -> ConnectOptions {
        bus(&self.stack, role)
    }

    /// What each process used until now.
    pub fn uses(&self) -> Uses {
        let of = |child: &Child| child.id().map(of_tree).unwrap_or_default();
        Uses {
            server: of_tree(self.stack.nats.pid()),
            database: of_tree(self.stack.postgres.pid()),
            coordinator: of(&self.coordinator),
            worker: of(&self.worker),
        }
    }

    /// Ends everything in good order.
    pub async fn stop(mut self) -> Result<(), Error> {
        for child in [&mut self.worker, &mut self.coordinator] {
            // One that has ended already is what is wanted.
            let _ = child.kill().await;
        }
        Ok(self.stack.stop().await?)
    }
}

/// The role of workers of a pool.
pub fn worker_role(pool: &str) -> Role {
    // The pools of the measurement are constants that are names, as the test of this file says.
    pool.parse::<PoolName>().map_or(Role::Api, Role::Worker)
}

fn roles() -> Vec<Role> {
    vec![Role::Coordinator, Role::Api, worker_role(noop::POOL), worker_role(RAW_POOL)]
}

fn bus(stack: &Stack, role: &Role) -> ConnectOptions {
    let user = role.user();
    let password = stack.password(&user).unwrap_or_default().to_owned();
    ConnectOptions::new(stack.nats.url(), "bench", role).credentials(user, password)
}

fn spawn(
    stack: &Stack,
    role: &Role,
    arguments: &[&str],
    database: Option<&str>,
) -> Result<Child, Error> {
    let failed = |source| Error::System { action: "start a process of the measurement", source };
    let program = std::env::current_exe().map_err(failed)?;
    let log = crate::local::log_file::open(&log_of(stack.paths().root(), role))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env(env_vars::NATS_URL, stack.nats.url())
        .env(env_vars::NATS_PASSWORD, stack.password(&role.user()).unwrap_or_default())
        .env(env_vars::STORE, stack.paths().objects())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    if let Some(database) = database {
        command.env(env_vars::DATABASE_URL, database);
    }
    command.spawn().map_err(failed)
}

fn log_of(root: &Path, role: &Role) -> std::path::PathBuf {
    root.join(format!("{}.log", role.user()))
}

fn no_bus(source: maestro_streams::connect::Error) -> Error {
    Error::service("reach the bus", source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pools_of_the_measurement_are_names() {
        assert!(matches!(worker_role(noop::POOL), Role::Worker(_)));
        assert!(matches!(worker_role(RAW_POOL), Role::Worker(_)));
    }
}

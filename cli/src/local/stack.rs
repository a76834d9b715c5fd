//! Both servers of one directory, started together, once.
//!
//! The order is what keeps it safe: first the lock, so that nobody else touches the directory;
//! then what a killed predecessor left is ended (each server's start does that); then the servers;
//! and the lock is given back last, when both have ended.

use std::path::Path;
use std::time::Duration;

use tokio::try_join;

use super::credentials::Credentials;
use super::lock::Lock;
use super::nats::{self, Nats};
use super::nats_config::{Permissions, User};
use super::paths::Paths;
use super::postgres::{self, Postgres};
use super::state::State;
use super::tools::{Search, Tools};
use super::{Error, tools};

const POSTGRES: &str = "postgres";
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// What the caller decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to look for the programs.
    pub search: Search,
    /// Users of nats-server by name, with what each may do. Their passwords are made here.
    pub users: Vec<(String, Permissions)>,
    /// Names of further secrets to make and keep, as the API's token.
    pub secrets: Vec<String>,
    /// What all streams together may take on disk, in bytes.
    pub max_file_store_bytes: u64,
    /// How long another owner of the directory is waited for.
    pub lock_patience: Duration,
}

impl Options {
    /// No users and no secrets, 10 GiB of streams, half a second for another owner to end.
    pub fn new(project: &Path) -> Self {
        Self {
            search: Search::from_env(project),
            users: Vec::new(),
            secrets: Vec::new(),
            max_file_store_bytes: 10 << 30,
            lock_patience: LOCK_PATIENCE,
        }
    }
}

/// A running stack. Dropping it kills both servers; [`Stack::stop`] ends them in good order.
///
/// The fields are dropped in this order, so the lock goes last.
#[derive(Debug)]
pub struct Stack {
    /// The bus.
    pub nats: Nats,
    /// The database.
    pub postgres: Postgres,
    credentials: Credentials,
    paths: Paths,
    _lock: Lock,
}

impl Stack {
    /// Takes the directory's lock and starts both servers.
    ///
    /// # Errors
    /// [`Error::Held`] when another process has the directory; the tools' errors when one is
    /// missing; else why a server did not start. Nothing is left running then.
    pub async fn start(paths: Paths, options: Options) -> Result<Self, Error> {
        let lock = Lock::take(&paths, options.lock_patience).await?;
        Self::start_locked(paths, lock, options).await
    }

    /// Starts both servers for a caller who has the lock already, and served its socket since.
    pub async fn start_locked(paths: Paths, lock: Lock, options: Options) -> Result<Self, Error> {
        let tools = options.search.find().await?;
        let known = Credentials::load(&paths)?.get(POSTGRES).is_some();
        let credentials = Credentials::load_or_make(&paths, &names(&options))?;
        let bus = bus(&paths, &tools, &options, &credentials);
        let mut database = postgres::Options::new(
            tools.postgres,
            &paths.postgres(),
            secret(&credentials, POSTGRES),
        );
        database.reset_password = !known;
        let (nats, postgres) = try_join!(Nats::start(bus), Postgres::start(database))?;
        let stack = Self { nats, postgres, credentials, paths, _lock: lock };
        stack.state().write(&stack.paths)?;
        Ok(stack)
    }

    /// What stands in `state.json`. The caller may complete it and write it again.
    pub fn state(&self) -> State {
        State {
            pid: std::process::id(),
            nats: format!("127.0.0.1:{}", self.nats.port()),
            nats_pid: self.nats.pid(),
            postgres: format!("127.0.0.1:{}", self.postgres.port()),
            postgres_pid: self.postgres.pid(),
            api: None,
        }
    }

    /// The directory's files.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The secret of a name that was given in the options.
    pub fn secret(&self, name: &str) -> Option<&str> {
        self.credentials.get(name)
    }

    /// The password of a user of nats-server.
    pub fn password(&self, user: &str) -> Option<&str> {
        self.credentials.get(&of_user(user))
    }

    /// Ends both servers in good order and gives the directory back.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { nats, postgres, paths, _lock, .. } = self;
        let (bus, database) = tokio::join!(nats.stop(), postgres.stop());
        State::remove(&paths)?;
        bus.and(database)
    }
}

fn names(options: &Options) -> Vec<String> {
    let users = options.users.iter().map(|(name, _)| of_user(name));
    std::iter::once(POSTGRES.to_owned())
        .chain(users)
        .chain(options.secrets.iter().cloned())
        .collect()
}

fn of_user(name: &str) -> String {
    format!("nats.{name}")
}

fn secret<'a>(credentials: &'a Credentials, name: &str) -> &'a str {
    credentials.get(name).unwrap_or_default()
}

fn bus(
    paths: &Paths,
    tools: &Tools,
    options: &Options,
    credentials: &Credentials,
) -> nats::Options {
    let user = |(name, permissions): &(String, Permissions)| User {
        name: name.clone(),
        password: secret(credentials, &of_user(name)).to_owned(),
        permissions: permissions.clone(),
    };
    let mut bus = nats::Options::new(&tools.nats_server.path, &paths.nats());
    bus.users = options.users.iter().map(user).collect();
    bus.max_file_store_bytes = options.max_file_store_bytes;
    bus
}

/// What `maestro doctor` says of the tools of a project.
pub async fn report(project: &Path) -> Vec<tools::Finding> {
    Search::from_env(project).report().await
}

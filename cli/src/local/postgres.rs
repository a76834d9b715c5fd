//! Postgres as a managed child: on loopback, with a password of its own, data synced to disk.
//!
//! This is the handle that the stack and the tests hold; `postgres_data` makes the data
//! and `postgres_launch` starts the server on it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use tokio::time::timeout;

use super::child::Child;
use super::postgres_data::{Data, USER};
use super::postgres_launch::{clear, launch, launch_on_free_port, socket_dir};
use super::run_as::RunAs;
use super::tools::Tool;
use super::{Error, paths};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const INVALID_CATALOG: &str = "3D000";

/// How to run it.
#[derive(Clone)]
pub struct Options {
    /// Its programs.
    pub tool: Tool,
    /// Its directory: data and log. Made if it is missing; one server at a time.
    pub dir: PathBuf,
    /// The password of its superuser `maestro`. It must need no quoting: letters and digits.
    pub password: String,
    /// Whether data that is there already may have another password, and ours is to be set.
    pub reset_password: bool,
    /// As whom; `None` for the first way that works.
    pub run_as: Option<RunAs>,
    /// How long it may take to be ready; reading back what a crash left takes seconds.
    pub start_limit: Duration,
}

impl Options {
    /// 60 s to be ready, as whom it works.
    pub fn new(tool: Tool, dir: &Path, password: &str) -> Self {
        Self {
            tool,
            dir: dir.to_owned(),
            password: password.to_owned(),
            reset_password: false,
            run_as: None,
            start_limit: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("tool", &self.tool)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// A running server with a database `maestro`. It ends when this value is dropped, and when this
/// process dies.
#[derive(Debug)]
pub struct Postgres {
    options: Options,
    run_as: RunAs,
    child: Child,
    port: u16,
}

impl Postgres {
    /// Ends a leftover on the same data, makes the data if there is none, starts the server and
    /// waits until its database can be used.
    pub async fn start(mut options: Options) -> Result<Self, Error> {
        check_password(&options.password)?;
        paths::make_dir(&options.dir)?;
        options.dir = options.dir.canonicalize().map_err(Error::file("resolve", &options.dir))?;
        let run_as = match options.run_as {
            Some(run_as) => run_as,
            None => RunAs::choose().await?,
        };
        let data = data(&options, run_as);
        clear(&data.path()).await?;
        let had_data = data.path().exists();
        data.prepare().await?;
        if had_data && options.reset_password {
            data.reset_password().await?;
        }
        let (child, port) = launch_on_free_port(&data, options.start_limit).await?;
        let postgres = Self { options, run_as, child, port };
        postgres.ensure_database().await?;
        Ok(postgres)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The postmaster's process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// As whom it runs.
    pub fn run_as(&self) -> RunAs {
        self.run_as
    }

    /// The process itself, to signal it or to wait for its end.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// The URL of the database `maestro`, with the password.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// The URL of another database of this server, with the password.
    pub fn url_of(&self, database: &str) -> String {
        let password = &self.options.password;
        format!("postgres://{USER}:{password}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// The directory of its Unix socket, which is a little quicker than loopback; `None` where
    /// the path is too long for one.
    pub fn socket_dir(&self) -> Option<PathBuf> {
        socket_dir(&data(&self.options, self.run_as).path())
    }

    /// How to connect to one of its databases by socket, else by loopback.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username(USER)
            .password(&self.options.password)
            .database(database)
            .ssl_mode(PgSslMode::Disable);
        match self.socket_dir() {
            Some(dir) => options.socket(dir),
            None => options,
        }
    }

    /// Makes one more database and returns its URL; for tests, which each want their own.
    pub async fn create_database(&self, name: &str) -> Result<String, Error> {
        check_name(name)?;
        self.execute("create a database", format!("create database {name}")).await?;
        Ok(self.url_of(name))
    }

    /// Drops a database with all its connections.
    pub async fn drop_database(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        self.execute("drop a database", format!("drop database if exists {name} with (force)"))
            .await
    }

    /// Ends it, if it has not ended or been killed before, and starts it on the same port.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.child.stop().await?;
        let data = data(&self.options, self.run_as);
        clear(&data.path()).await?;
        self.child = launch(&data, self.port, self.options.start_limit).await?;
        Ok(())
    }

    /// Ends it in good order: a fast shutdown, which leaves nothing to be recovered.
    pub async fn stop(self) -> Result<(), Error> {
        self.child.stop().await.map(drop)
    }

    async fn ensure_database(&self) -> Result<(), Error> {
        match self.connect(USER).await {
            Ok(connection) => connection.close().await.map_err(Error::database("end a connection")),
            Err(Error::Database { source: sqlx::Error::Database(e), .. })
                if e.code().as_deref() == Some(INVALID_CATALOG) =>
            {
                self.create_database(USER).await.map(drop)
            }
            Err(e) => Err(e),
        }
    }

    async fn execute(&self, action: &'static str, statement: String) -> Result<(), Error> {
        let mut connection = self.connect("postgres").await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .map_err(Error::database(action))?;
        connection.close().await.map_err(Error::database("end a connection"))
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, Error> {
        let options = self.connect_options(database);
        let connected = timeout(CONNECT_LIMIT, options.connect()).await;
        let connected = connected.map_err(|_| self.child.slow("answer", CONNECT_LIMIT))?;
        connected.map_err(Error::database("connect us"))
    }
}

fn data(options: &Options, run_as: RunAs) -> Data<'_> {
    Data { tool: &options.tool, dir: &options.dir, run_as, password: &options.password }
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
    {
        return Ok(());
    }
    let rule = "a lower-case letter, then lower-case letters, digits and _, at most 63";
    Err(Error::Name { what: "database name", name: name.chars().take(80).collect(), rule })
}

/// It is written into a statement and into a URL as it is.
fn check_password(password: &str) -> Result<(), Error> {
    if !password.is_empty() && password.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(Error::Name { what: "password", name: "***".to_owned(), rule: "letters and digits" })
}

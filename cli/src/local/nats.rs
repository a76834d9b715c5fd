//! nats-server as a managed child: JetStream on files, on loopback, with users of the caller.
//!
//! The port is chosen by the server itself and read from its ports file, so no other process
//! can take it in between; a restart keeps it. The store belongs to one server at a time: a
//! leftover that has it open is ended first.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::Deserialize;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::child::{self, Child, Plan, Spawn};
use super::leftover::{self, Mark};
use super::nats_config::{Config, User};
use super::{Error, paths};

const NAME: &str = "nats-server";
const PLAN: Plan =
    &[(Signal::SIGTERM, Duration::from_secs(5)), (Signal::SIGKILL, Duration::from_secs(5))];
/// For its drop, which blocks, and for what a predecessor left, which may be stopped.
const ABANDON: Plan =
    &[(Signal::SIGTERM, Duration::from_secs(2)), (Signal::SIGKILL, Duration::from_secs(2))];
const PERIOD: Duration = Duration::from_millis(3);
const GREETING: &[u8] = b"INFO ";

/// How to run it.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program.
    pub program: PathBuf,
    /// Its directory: configuration, log and store. Made if it is missing; one server at a time.
    pub dir: PathBuf,
    /// The port; `None` for one that is free.
    pub port: Option<u16>,
    /// Who may connect. Nobody else can.
    pub users: Vec<User>,
    /// What all streams together may take on disk, in bytes.
    pub max_file_store_bytes: u64,
    /// How often the store is synced to disk, as `10s` or `always`; `None` for the server's default.
    pub sync_interval: Option<String>,
    /// How long it may take to be ready; reading a large store back takes seconds.
    pub start_limit: Duration,
}

impl Options {
    /// 10 GiB of streams, a free port, no users, 30 s to be ready.
    pub fn new(program: &Path, dir: &Path) -> Self {
        Self {
            program: program.to_owned(),
            dir: dir.to_owned(),
            port: None,
            users: Vec::new(),
            max_file_store_bytes: 10 << 30,
            sync_interval: None,
            start_limit: Duration::from_secs(30),
        }
    }
}

/// A running server. It ends when this value is dropped, and when this process dies.
#[derive(Debug)]
pub struct Nats {
    options: Options,
    child: Child,
    port: u16,
}

impl Nats {
    /// Ends a leftover in the same directory, starts the server and waits until it takes clients.
    pub async fn start(mut options: Options) -> Result<Self, Error> {
        paths::make_dir(&options.dir)?;
        options.dir = options.dir.canonicalize().map_err(Error::file("resolve", &options.dir))?;
        paths::make_dir(&options.dir.join("store"))?;
        leftover::end(&Mark { name: NAME, path: config_file(&options.dir) }, ABANDON).await?;
        let (child, port) = launch(&options, options.port).await?;
        Ok(Self { options, child, port })
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// As `nats://127.0.0.1:4222`, without a user.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The URL with the name and password of one of its users.
    ///
    /// # Errors
    /// [`Error::Name`] when it has no such user.
    pub fn url_of(&self, user: &str) -> Result<String, Error> {
        let known = self.options.users.iter().find(|u| u.name == user);
        let rule = "one of the users that the server was started with";
        let known =
            known.ok_or_else(|| Error::Name { what: "user", name: user.to_owned(), rule })?;
        Ok(format!("nats://{}:{}@127.0.0.1:{}", known.name, known.password, self.port))
    }

    /// The process itself, to signal it or to wait for its end.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Ends it, if it has not ended or been killed before, and starts it on the same port and store.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.child.stop().await?;
        let (child, _) = launch(&self.options, Some(self.port)).await?;
        self.child = child;
        Ok(())
    }

    /// Ends it in good order.
    pub async fn stop(self) -> Result<(), Error> {
        self.child.stop().await.map(drop)
    }
}

fn config_file(dir: &Path) -> PathBuf {
    dir.join("nats.conf")
}

async fn launch(options: &Options, port: Option<u16>) -> Result<(Child, u16), Error> {
    write_config(options, port)?;
    remove_ports_files(&options.dir)?;
    let mut argv = child::dies_with_us("KILL");
    argv.extend([options.program.clone().into_os_string(), OsString::from("-c")]);
    argv.push(config_file(&options.dir).into());
    let child = Child::spawn(Spawn {
        name: NAME,
        argv,
        log: options.dir.join("nats.log"),
        variables: Vec::new(),
        stop: PLAN,
        abandon: ABANDON,
    })?;
    let ready = timeout(options.start_limit, ready(&options.dir, &child));
    let port = tokio::select! {
        biased;
        port = ready => port.map_err(|_| child.slow("become ready", options.start_limit))?,
        status = child.ended() => return Err(child.ended_early(status)),
    };
    Ok((child, port))
}

fn write_config(options: &Options, port: Option<u16>) -> Result<(), Error> {
    let store = options.dir.join("store");
    let config = Config {
        name: "maestro-local",
        port,
        dir: &options.dir,
        store: &store,
        users: &options.users,
        max_file_store_bytes: options.max_file_store_bytes,
        sync_interval: options.sync_interval.as_deref(),
    };
    paths::write_file(&config_file(&options.dir), config.render().to_string().as_bytes())
}

/// A killed server leaves its ports file behind, and the process id in its name may come again.
fn remove_ports_files(dir: &Path) -> Result<(), Error> {
    let entries = fs::read_dir(dir).map_err(Error::file("read", dir))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|e| e == "ports") {
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

/// Waits, without end of its own, until the server has said its port and greets on it.
async fn ready(dir: &Path, child: &Child) -> u16 {
    let file = dir.join(format!("{NAME}_{}.ports", child.pid()));
    loop {
        if let Some(port) = read_port(&file)
            && greets(port).await
        {
            return port;
        }
        sleep(PERIOD).await;
    }
}

/// The file may be there and still be written.
fn read_port(file: &Path) -> Option<u16> {
    let ports: Ports = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    ports.nats.first()?.rsplit(':').next()?.parse().ok()
}

async fn greets(port: u16) -> bool {
    let greeting = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let mut start = [0; GREETING.len()];
        stream.read_exact(&mut start).await?;
        Ok::<_, std::io::Error>(start == GREETING)
    };
    let until = Instant::now() + Duration::from_secs(1);
    matches!(tokio::time::timeout_at(until, greeting).await, Ok(Ok(true)))
}

//! Starting Postgres on its data: the settings, a free port, and when it is ready.
//!
//! It takes no port 0, so we look for a free one and try again when somebody was quicker. Its
//! data belongs to one server at a time: what a predecessor left running on it is ended first.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{sleep, timeout};

use super::Error;
use super::child::{Child, Plan, Spawn};
use super::leftover::{self, Mark};
use super::postgres_data::Data;

const NAME: &str = "postgres";
/// Fast shutdown, immediate shutdown, and none at all.
const STOP: Plan = &[
    (Signal::SIGINT, Duration::from_secs(10)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// What was left by a predecessor may be stopped or stuck, and somebody waits for us to start.
const SWEEP: Plan = &[
    (Signal::SIGINT, Duration::from_secs(3)),
    (Signal::SIGQUIT, Duration::from_secs(2)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
const ABANDON: Plan =
    &[(Signal::SIGQUIT, Duration::from_secs(3)), (Signal::SIGKILL, Duration::from_secs(2))];
const PERIOD: Duration = Duration::from_millis(3);
const PORT_ATTEMPTS: usize = 5;
/// Room in a socket's address, less the name that Postgres adds.
const SOCKET_DIR_MAX: usize = 107 - "/.s.PGSQL.65535".len();

/// Tables that are written and emptied all the time want their dead rows taken away often; no
/// query of ours is helped by parallel workers or by compiling it.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "max_connections=200",
    "shared_buffers=256MB",
    "fsync=on",
    "synchronous_commit=on",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=1GB",
    "checkpoint_timeout=15min",
    "jit=off",
    "max_parallel_workers_per_gather=0",
    "autovacuum=on",
    "autovacuum_naptime=10s",
    "autovacuum_vacuum_threshold=500",
    "autovacuum_vacuum_scale_factor=0.02",
    "autovacuum_vacuum_cost_delay=1ms",
    "log_checkpoints=off",
    "log_autovacuum_min_duration=-1",
    "log_timezone=UTC",
    "timezone=UTC",
];

/// Ends what still runs on the data and takes its traces away. The pid file is only removed
/// where we can see that nobody is left: its number may be a stranger's by now, whom Postgres
/// would take for its predecessor.
pub(super) async fn clear(data: &Path) -> Result<(), Error> {
    leftover::end(&Mark { name: NAME, path: data.to_owned() }, SWEEP).await?;
    let Ok(entries) = fs::read_dir(data) else { return Ok(()) };
    let sees_processes = Path::new("/proc/self/stat").exists();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if sees_processes && (name == "postmaster.pid" || name.starts_with(".s.PGSQL.")) {
            fs::remove_file(entry.path()).map_err(Error::file("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Starts it on a port that is free, and waits until it takes clients, at most `limit`.
pub(super) async fn launch_on_free_port(
    data: &Data<'_>,
    limit: Duration,
) -> Result<(Child, u16), Error> {
    let mut attempts = 1;
    loop {
        let port = free_port()?;
        match launch(data, port, limit).await {
            Ok(child) => return Ok((child, port)),
            Err(Error::Ended { tail, .. }) if attempts < PORT_ATTEMPTS && taken(&tail) => {
                attempts += 1
            }
            Err(e) => return Err(e),
        }
    }
}

/// Postgres speaks English here, because its locale is C.
fn taken(tail: &str) -> bool {
    tail.contains("Address already in use")
}

fn free_port() -> Result<u16, Error> {
    let bound =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|source| Error::Spawn { name: NAME, source })
}

/// Starts it on this port, and waits until it takes clients, at most `limit`.
pub(super) async fn launch(data: &Data<'_>, port: u16, limit: Duration) -> Result<Child, Error> {
    let path = data.path();
    let sockets = socket_dir(&path).unwrap_or_default();
    let mut argv = data.argv("postgres", "QUIT");
    argv.extend(["-D".into(), path.clone().into_os_string()]);
    let own = [format!("port={port}"), format!("unix_socket_directories={}", sockets.display())];
    for setting in SETTINGS.iter().map(|s| (*s).to_owned()).chain(own) {
        argv.extend([OsString::from("-c"), setting.into()]);
    }
    let child = Child::spawn(Spawn {
        name: NAME,
        argv,
        log: data.log(),
        variables: Vec::new(),
        stop: STOP,
        abandon: ABANDON,
    })?;
    let waited = tokio::select! {
        biased;
        waited = timeout(limit, ready(&path, child.pid())) => waited,
        status = child.ended() => return Err(child.ended_early(status)),
    };
    waited.map_err(|_| child.slow("become ready", limit))?;
    Ok(child)
}

/// The data directory itself, which nobody else may enter.
pub(super) fn socket_dir(data: &Path) -> Option<PathBuf> {
    let plain = data
        .to_str()
        .is_some_and(|path| path.len() <= SOCKET_DIR_MAX && !path.contains([',', '"', ' ']));
    plain.then(|| data.to_owned())
}

/// Waits, without end of its own, until the postmaster of this process says that it is ready:
/// the first and the eighth line of its pid file.
async fn ready(data: &Path, pid: u32) {
    let (file, pid) = (data.join("postmaster.pid"), pid.to_string());
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(pid.as_str()) && lines.nth(6).map(str::trim_end) == Some("ready") {
            return;
        }
        sleep(PERIOD).await;
    }
}

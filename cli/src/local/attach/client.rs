//! A client's side: find the owner, or start one, and stay attached.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout};

use super::super::paths::Paths;
use super::super::{Error, log_file};
use super::{Answer, EXIT_HELD, LINE_MAX, socket};

const PERIOD: Duration = Duration::from_millis(5);
const SPAWN_PERIOD: Duration = Duration::from_millis(200);

/// An open connection to the owner. While it lives, the owner does not end by itself.
#[derive(Debug)]
pub struct Attachment {
    stream: BufReader<UnixStream>,
}

impl Attachment {
    /// Waits until the owner has ended.
    pub async fn lost(&mut self) {
        let mut byte = [0];
        // Whatever comes, end, error or a byte against the rules, this owner is none of ours.
        let _ = self.stream.read(&mut byte).await;
    }
}

/// Attaches to the directory's owner, or says that there is none.
///
/// # Errors
/// [`Error::OwnerAnswer`] when its line cannot be read, [`Error::OwnerSlow`] when none came in `limit`.
pub async fn connect<T: DeserializeOwned>(
    paths: &Paths,
    limit: Duration,
) -> Result<Option<(Answer<T>, Attachment)>, Error> {
    let path = socket::path(paths)?;
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(e) if nobody(&e) => return Ok(None),
        Err(e) => return Err(Error::file("connect to", &path)(e)),
    };
    let mut stream = BufReader::new(stream);
    let line = timeout(limit, read_line(&mut stream)).await.map_err(|_| slow(paths, limit))?;
    let Some(line) = line? else { return Ok(None) };
    let answer =
        serde_json::from_slice(&line).map_err(|e| Error::OwnerAnswer { reason: e.to_string() })?;
    Ok(Some((answer, Attachment { stream })))
}

/// Attaches to the directory's owner; where there is none, starts one with a command from
/// `command` and attaches to it, or to whoever was quicker.
///
/// The owner is detached: it has a process group of its own and writes to `up.log`. It exits
/// with [`EXIT_HELD`] when another has the directory. It must take the lock, bind the socket and
/// only then start what is slow, so that a client hears of its failure over the socket.
///
/// # Errors
/// [`Error::OwnerEnded`] when it ended without serving, with the end of its log;
/// [`Error::Held`] or [`Error::OwnerSlow`] when nothing answered in `limit`.
pub async fn connect_or_spawn<T: DeserializeOwned>(
    paths: &Paths,
    limit: Duration,
    command: impl Fn() -> Command,
) -> Result<(Answer<T>, Attachment), Error> {
    let until = Instant::now() + limit;
    let mut owner = Owner::default();
    while Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        if let Some(found) = connect(paths, left).await? {
            return Ok(found);
        }
        owner.tend(paths, &command)?;
        sleep(PERIOD).await;
    }
    if owner.held {
        Err(Error::Held { dir: paths.root().to_owned() })
    } else {
        Err(slow(paths, limit))
    }
}

/// The owner that we started, if any. It outlives us.
#[derive(Default)]
struct Owner {
    child: Option<Child>,
    spawned: Option<Instant>,
    held: bool,
}

impl Owner {
    /// Starts one where none of ours is running, not more often than the period.
    fn tend(&mut self, paths: &Paths, command: impl Fn() -> Command) -> Result<(), Error> {
        let ended = match self.child.as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => Some(status),
            Some(Ok(None)) => return Ok(()),
            Some(Err(source)) => return Err(Error::Spawn { name: "maestro up", source }),
            None => None,
        };
        if let Some(status) = ended {
            self.child = None;
            self.held = status.code() == Some(i32::from(EXIT_HELD));
            // It ended well: it served somebody else, and was done before we came.
            if !self.held && !status.success() {
                return Err(ended_early(paths, status));
            }
        }
        if self.spawned.is_none_or(|at| at.elapsed() >= SPAWN_PERIOD) {
            self.child = Some(spawn(paths, command())?);
            self.spawned = Some(Instant::now());
        }
        Ok(())
    }
}

fn spawn(paths: &Paths, mut command: Command) -> Result<Child, Error> {
    let path = paths.up_log();
    let log = log_file::open(&path)?;
    let error = log.try_clone().map_err(Error::file("open", &path))?;
    command.stdin(Stdio::null()).stdout(log).stderr(error).process_group(0);
    command.spawn().map_err(|source| Error::Spawn { name: "maestro up", source })
}

fn ended_early(paths: &Paths, status: ExitStatus) -> Error {
    let log = paths.up_log();
    Error::OwnerEnded { status: status.to_string(), tail: log_file::tail(&log), log }
}

fn slow(paths: &Paths, limit: Duration) -> Error {
    Error::OwnerSlow { limit, log: paths.up_log() }
}

fn nobody(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// One line without its end; `None` when the owner closed without saying anything.
async fn read_line(stream: &mut BufReader<UnixStream>) -> Result<Option<Vec<u8>>, Error> {
    let mut line = Vec::new();
    let read = stream.take(LINE_MAX as u64).read_until(b'\n', &mut line).await;
    match (read, line.pop()) {
        (Ok(_), Some(b'\n')) => Ok(Some(line)),
        (Ok(0) | Err(_), _) => Ok(None),
        (Ok(_), _) => {
            Err(Error::OwnerAnswer { reason: format!("no line within {LINE_MAX} bytes") })
        }
    }
}

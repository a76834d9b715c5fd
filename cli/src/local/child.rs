//! A program that we run and that never outlives us.
//!
//! A thread of its own starts each child and waits for it. Two things hang on that: the kernel's
//! parent-death signal is tied to the *thread* that forked, so that thread must live as long as
//! the child; and a process id stays ours until that thread has reaped it, so a signal never
//! reaches a stranger. Where `setpriv` is missing there is no parent-death signal, and only
//! [`Child`]'s drop and the sweep at the next start end it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Error, log_file};

/// Signals to end a child, each with the time that it gets before the next one.
pub type Plan = &'static [(Signal, Duration)];

/// What to start.
#[derive(Debug)]
pub struct Spawn {
    /// For messages, as `nats-server`.
    pub name: &'static str,
    /// Program and arguments.
    pub argv: Vec<OsString>,
    /// Standard output and error go here, appended.
    pub log: PathBuf,
    /// Its variables beside those of [`environment`].
    pub variables: Vec<(OsString, OsString)>,
    /// How [`Child::stop`] ends it.
    pub stop: Plan,
    /// How it is ended when its [`Child`] is dropped, which blocks: a shorter plan.
    pub abandon: Plan,
}

/// A running child, or one that has ended and was reaped.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    pid: u32,
    log: PathBuf,
    stop: Plan,
    abandon: Plan,
    shared: Arc<Shared>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

#[derive(Debug, Default)]
struct Shared {
    status: Mutex<Option<ExitStatus>>,
    reaped: Condvar,
}

impl Shared {
    fn status(&self) -> MutexGuard<'_, Option<ExitStatus>> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Child {
    /// Starts it in a process group of its own (a Ctrl-C in our terminal is not for it), with an
    /// environment of our making and no input.
    pub fn spawn(spawn: Spawn) -> Result<Self, Error> {
        let name = spawn.name;
        let command = command(&spawn)?;
        let shared = Arc::new(Shared::default());
        let (ended_tx, ended) = watch::channel(None);
        let (pid_tx, pid_rx) = std::sync::mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name(format!("guard-{name}"))
            .spawn(move || guard(command, &pid_tx, &theirs, &ended_tx))
            .map_err(|source| Error::Spawn { name, source })?;
        let pid = pid_rx
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
            .map_err(|source| Error::Spawn { name, source })?;
        Ok(Self {
            name,
            pid,
            log: spawn.log,
            stop: spawn.stop,
            abandon: spawn.abandon,
            shared,
            ended,
        })
    }

    /// Its process id. It is not reused while [`Child::status`] is `None`.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, once it has.
    pub fn status(&self) -> Option<ExitStatus> {
        *self.shared.status()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await.map(|status| *status) {
            Ok(Some(status)) => status,
            _ => ExitStatus::default(),
        }
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let status = self.shared.status();
        if status.is_none()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // It can only fail for a process that ended and was not reaped yet.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Ends it by its plan.
    ///
    /// # Errors
    /// [`Error::Slow`] when not even the last signal ended it in its time.
    pub async fn stop(&self) -> Result<ExitStatus, Error> {
        for (signal, limit) in self.stop {
            self.signal(*signal);
            if let Ok(status) = timeout(*limit, self.ended()).await {
                return Ok(status);
            }
        }
        let limit = self.stop.iter().map(|(_, limit)| *limit).sum();
        Err(Error::Slow { name: self.name, action: "end", limit, log: self.log.clone() })
    }

    /// The error that says that it ended too early.
    pub fn ended_early(&self, status: ExitStatus) -> Error {
        let tail = log_file::tail(&self.log);
        Error::Ended { name: self.name, status: status.to_string(), log: self.log.clone(), tail }
    }

    /// The error that says that it took too long.
    pub fn slow(&self, action: &'static str, limit: Duration) -> Error {
        Error::Slow { name: self.name, action, limit, log: self.log.clone() }
    }

    fn wait_blocking(&self, limit: Duration) -> bool {
        let status = self.shared.status();
        let waited = self.shared.reaped.wait_timeout_while(status, limit, |s| s.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.is_some()
    }
}

/// Ends it by its plan, blocking, so that nothing is left when a test or a command panics or
/// returns early. Whoever can awaits [`Child::stop`] before.
impl Drop for Child {
    fn drop(&mut self) {
        for (signal, limit) in self.abandon {
            if self.status().is_some() {
                return;
            }
            self.signal(*signal);
            if self.wait_blocking(*limit) {
                return;
            }
        }
    }
}

/// Starts the child and reaps it. The lock is held from before the reaping until the status is
/// known, so that no signal falls in between.
fn guard(
    mut command: Command,
    pid_tx: &std::sync::mpsc::Sender<io::Result<u32>>,
    shared: &Shared,
    ended: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) => return drop(pid_tx.send(Err(e))),
    };
    let pid = child.id();
    let _ = pid_tx.send(Ok(pid));
    await_exit(pid);
    let mut status = shared.status();
    let code = child.wait().unwrap_or_default();
    *status = Some(code);
    drop(status);
    shared.reaped.notify_all();
    let _ = ended.send(Some(code));
}

/// Waits for the exit without reaping; an interruption starts the wait anew.
fn await_exit(pid: u32) {
    let Ok(pid) = i32::try_from(pid) else { return };
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(Pid::from_raw(pid)), flags) == Err(nix::errno::Errno::EINTR) {}
}

fn command(spawn: &Spawn) -> Result<Command, Error> {
    let log = log_file::open(&spawn.log)?;
    let error = log.try_clone().map_err(Error::file("open", &spawn.log))?;
    let mut argv = spawn.argv.iter();
    let program = argv.next().cloned().unwrap_or_default();
    let mut command = Command::new(program);
    command.args(argv).stdin(Stdio::null()).stdout(log).stderr(error).process_group(0);
    environment(&mut command);
    command.envs(spawn.variables.iter().map(|(name, value)| (name, value)));
    Ok(command)
}

/// No server may be turned by a variable that was meant for something else (`PGPORT`, say):
/// only the search path, and the limits of Go's runtime, are passed on.
pub fn environment(command: &mut Command) {
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    for name in ["PATH", "GOMAXPROCS", "GOMEMLIMIT", "GOGC"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
}

/// Words to put before a program so that the kernel sends it `signal` when we die; empty where
/// the system has no such tool. They must come last before the program, because a change of
/// user clears the setting.
pub fn dies_with_us(signal: &str) -> Vec<OsString> {
    static WORKS: OnceLock<bool> = OnceLock::new();
    let works = *WORKS.get_or_init(|| {
        let mut probe = Command::new("setpriv");
        probe.args(["--pdeathsig", "KILL", "--", "true"]);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|s| s.success())
    });
    if !works {
        return Vec::new();
    }
    ["setpriv", "--pdeathsig", signal, "--"].map(OsString::from).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan =
        &[(Signal::SIGTERM, Duration::from_millis(200)), (Signal::SIGKILL, Duration::from_secs(5))];

    fn shell(dir: &Path, script: &str) -> Child {
        let argv = ["sh", "-c", script].map(OsString::from).to_vec();
        Child::spawn(Spawn {
            name: "sh",
            argv,
            log: dir.join("sh.log"),
            variables: Vec::new(),
            stop: PLAN,
            abandon: PLAN,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn one_that_ignores_the_first_signal_is_killed() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "trap '' TERM; echo ready; while :; do sleep 1; done");
        let status = child.stop().await.unwrap();
        assert!(!status.success());
        assert_eq!(child.status(), Some(status));
    }

    #[tokio::test]
    async fn what_it_says_and_how_it_ends_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "echo one; echo two >&2; exit 3");
        let status = child.ended().await;
        assert_eq!(status.code(), Some(3));
        let text = child.ended_early(status).to_string();
        assert!(text.contains("one") && text.contains("two"), "{text}");
    }

    #[tokio::test]
    async fn dropping_it_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let child = shell(dir.path(), "exec sleep 600");
        let pid = Pid::from_raw(child.pid() as i32);
        drop(child);
        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let argv = vec!["/nonexistent/program".into()];
        let spawn = Spawn {
            name: "none",
            argv,
            log: dir.path().join("l"),
            variables: Vec::new(),
            stop: PLAN,
            abandon: PLAN,
        };
        assert!(matches!(Child::spawn(spawn), Err(Error::Spawn { .. })));
    }
}

//! One process group, from its start to its last process' end.
//!
//! Standard output and error are one pipe, so that their order is kept; what comes is handed on at
//! once and never gathered. When the first process ends, or the attempt is stopped, or the future
//! is dropped, what is left of the group is killed. A process that has left the group can neither
//! be killed here nor hold the attempt up.

mod channel;
mod group;
mod output;
mod spawner;
mod tail;

use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::command::CommandLine;
use crate::environment::Variables;
use crate::error::Error;
use crate::sandbox::{Confinement, variables_file};
pub(crate) use channel::Channel;
use group::Group;
pub(crate) use output::Sink;
use output::{Flow, drain, pump};
pub(crate) use spawner::spawn;
pub(crate) use tail::Tail;

/// What a group that was asked to end gets before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// What is to be started.
pub(crate) struct Process<'a> {
    /// The program and its arguments.
    pub(crate) line: &'a CommandLine,
    /// Where it runs.
    pub(crate) directory: &'a Path,
    /// All its variables.
    pub(crate) variables: &'a Variables,
    /// What it is kept in; absent means nothing.
    pub(crate) confinement: Option<&'a Confinement>,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended(ExitStatus);

impl Ended {
    pub(crate) fn success(self) -> bool {
        self.0.success()
    }

    /// The exit code, where it ended by itself.
    pub(crate) fn exit_code(self) -> Option<i32> {
        self.0.code()
    }

    /// The signal that ended it.
    pub(crate) fn signal(self) -> Option<i32> {
        self.0.signal()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |number: i32| Signal::try_from(number).map_or("unknown", Signal::as_str);
        match (self.exit_code(), self.signal()) {
            (Some(code @ 129..=192), _) if Signal::try_from(code - 128).is_ok() => {
                write!(f, "exit code {code}, as after {}", name(code - 128))
            }
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(9)) => f.write_str("killed by SIGKILL, perhaps for want of memory"),
            (None, Some(signal)) => write!(f, "killed by signal {signal}, {}", name(signal)),
            (None, None) => f.write_str("ended in a way that the system does not tell"),
        }
    }
}

/// Runs a process to its end and hands its output to `sink` as it comes.
///
/// When `stop` fires, its group is asked to end, and killed after [`GRACE`]; the answer then is
/// [`Error::Stopped`].
pub(crate) async fn run(
    process: Process<'_>,
    stop: &CancellationToken,
    sink: &mut Sink<'_>,
) -> Result<Ended, Error> {
    if stop.is_cancelled() {
        return Err(Error::Stopped);
    }
    let failed = |source| Error::Start { program: process.line.program.clone(), source };
    let (mut child, group, output) = start(&process).await.map_err(failed)?;
    let (watched, status) = {
        let flow = Flow::default();
        let mut pump = std::pin::pin!(pump(output, sink, &flow));
        let watched = watch(&group, pump.as_mut(), stop).await;
        group.signal(Signal::SIGKILL);
        let status = child.wait().await;
        group.is_gone();
        if let Some(confinement) = process.confinement {
            confinement.settle().await;
        }
        drain(pump.as_mut(), &flow).await;
        (watched, status)
    };
    if let Some(log) = &mut sink.log {
        log.finish().await;
    }
    match watched? {
        Watched::Ended => status.map(Ended).map_err(failed),
        Watched::Stopped => Err(Error::Stopped),
    }
}

async fn start(process: &Process<'_>) -> io::Result<(Child, Group, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let output = pipe::Receiver::from_owned_fd(reader.into())?;
    let mut command = match process.confinement {
        Some(confinement) => {
            let mut command = confinement.command(process.line, process.directory)?;
            command.env_clear().stdin(Stdio::from(variables_file(process.variables)?));
            command
        }
        None => {
            let mut command = Command::new(&process.line.program);
            command.args(&process.line.args);
            command.env_clear().envs(process.variables).stdin(Stdio::null());
            command
        }
    };
    command
        .current_dir(process.directory)
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0);
    // The command holds the pipe's writing end; it is dropped here, so that the last process of
    // the group holds the last of it.
    let child = spawn(command).await?;
    let id = child.id().ok_or_else(|| io::Error::other("no process id"))?;
    let is_hidden = process.confinement.is_some_and(Confinement::is_namespaced);
    Ok((child, Group::of(id, is_hidden)?, output))
}

enum Watched {
    Ended,
    Stopped,
}

/// Hands output on until the first process has ended, which is then still to be reaped.
async fn watch(
    group: &Group,
    mut pump: Pin<&mut (impl Future<Output = ()> + Send)>,
    stop: &CancellationToken,
) -> Result<Watched, Error> {
    let mut ended = std::pin::pin!(group.first_ended());
    let mut open = true;
    let mut kill_at: Option<Instant> = None;
    loop {
        let due = kill_at.unwrap_or_else(Instant::now);
        tokio::select! {
            () = &mut pump, if open => open = false,
            over = &mut ended => {
                over?;
                return Ok(if kill_at.is_some() { Watched::Stopped } else { Watched::Ended });
            }
            () = stop.cancelled(), if kill_at.is_none() => {
                group.ask_to_end();
                kill_at = Some(Instant::now() + GRACE);
            }
            () = tokio::time::sleep_until(due), if kill_at.is_some() => {
                group.signal(Signal::SIGKILL);
                kill_at = Some(Instant::now() + GRACE);
            }
        }
    }
}

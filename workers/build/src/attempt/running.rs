//! A program of an execution, within its limits: what it says goes to the log, and it ends when the
//! execution is stopped or has filled its directories.

use std::path::Path;

use maestro_kit::log::LogSink;
use maestro_kit::redact::Redactor;
use nix::sys::statvfs::statvfs;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::process::{self, Channel, Process, Sink, Tail};
use crate::sandbox::{self, Confinement, Full};

/// With less than this left on its disk, a command that failed is taken to have failed for that.
const DISK_BYTES_MIN: u64 = 1 << 20;

/// What programs of an execution run with.
#[derive(Clone, Copy)]
pub(crate) struct Running<'a> {
    pub(crate) log: &'a LogSink,
    /// What is searched for in all that they say.
    pub(crate) redactor: &'a Redactor,
    /// Ends them. It is fired here too, where they fill their directories.
    pub(crate) stop: &'a CancellationToken,
}

impl Running<'_> {
    /// Runs a program to its end; anything but a success is an error.
    pub(crate) async fn run(&self, process: Process<'_>) -> Result<(), Error> {
        let Process { line, directory, confinement, .. } = process;
        let mut tail = Tail::without_secrets(self.redactor);
        let log = Channel::of(self.log, self.redactor);
        let mut sink = Sink { tail: &mut tail, log: Some(log) };
        let command = line.to_string();
        let running = process::run(process, self.stop, &mut sink);
        let mut ended = self.within_disk(confinement, &command, running).await?;
        if let Some(confinement) = confinement {
            ended = confinement.verdict(&line.program, ended, &tail.text())?;
        }
        let memory = confinement.filter(|confinement| confinement.ran_out_of_memory());
        let most_mib = memory.and_then(|confinement| confinement.applied().limits.memory_mib);
        match most_mib {
            _ if ended.success() => Ok(()),
            Some(most_mib) => Err(Error::OutOfMemory { command, ended, most_mib }),
            None if is_full(directory) => Err(Error::DiskFull { command, ended: Some(ended) }),
            None => Err(Error::Command { command, ended, tail: tail.text() }),
        }
    }

    /// Runs what ends when the execution is stopped, and stops it where the execution fills its
    /// directories meanwhile.
    pub(crate) async fn within_disk<T>(
        &self,
        confinement: Option<&Confinement>,
        command: &str,
        running: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let bound = confinement.and_then(|it| Some((it.disk_max()?, it.taking().clone())));
        let mut running = std::pin::pin!(running);
        let Some((most, taking)) = bound else { return running.await };
        tokio::select! {
            ended = &mut running => ended,
            full = sandbox::overfull(taking, most) => {
                self.stop.cancel();
                let _ = running.await;
                let command = command.to_owned();
                Err(match full {
                    Full::Own(found) => Error::Overfull { command, found, most },
                    Full::Disk => Error::DiskFull { command, ended: None },
                })
            }
        }
    }
}

fn is_full(path: &Path) -> bool {
    statvfs(path).is_ok_and(|disk| {
        disk.blocks_available().saturating_mul(disk.fragment_size()) < DISK_BYTES_MIN
    })
}

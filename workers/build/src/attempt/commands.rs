//! A step's commands, one after the other in its sandbox, with its services beside them.

use std::path::{Path, PathBuf};

use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::Applied;
use nix::sys::statvfs::statvfs;

use super::Attempt;
use super::sandboxes::Sandboxes;
use crate::caches::Caches;
use crate::environment::{self, Places, Variables};
use crate::error::Error;
use crate::parameters::Request;
use crate::preset::Recipe;
use crate::process::{self, Channel, Process, Sink, Tail};
use crate::sandbox::{self, Confinement, Full};
use crate::secret_files::SecretFiles;
use crate::services::Services;
use crate::workspace::{self, plain};

/// With less than this left on its disk, a command that failed is taken to have failed for that.
const DISK_BYTES_MIN: u64 = 1 << 20;

impl Attempt<'_> {
    /// Runs the commands in their sandbox.
    pub(super) async fn within(
        &self,
        places: &Places,
        request: &Request,
        (caches, applied): (&Caches, &mut Option<Applied>),
    ) -> Result<Outcome, Error> {
        let task = &self.execution.task;
        let opening = Sandboxes::open(self, places, caches);
        let sandboxes = self.unless_stopped(opening).await?;
        let confinement = sandboxes.make("step")?;
        if let Some(confinement) = &confinement {
            self.execution.log.line(&sandbox::line(confinement.applied())).await;
            let services = task.beside.services.keys().cloned().collect();
            *applied = Some(Applied { services, ..confinement.applied().clone() });
        }
        self.unless_stopped(self.fill(places)).await?;
        let directory = working_directory(places, request).await?;
        let recipe = Recipe::of(request, &directory)?;
        let toolchain = recipe.variables(&places.home);
        let mut variables = environment::of_step(self.settings, places, task, (toolchain, caches))?;
        let secrets = &self.execution.secrets;
        let files = SecretFiles::put(&places.home, secrets, &mut variables)?;
        let services = Services::prepare(&sandboxes, &mut variables)?;
        let commands = self.commands(&recipe, &directory, (&variables, confinement.as_ref()));
        let ready = async {
            let ready = self.stop.run_until_cancelled(services.ready());
            ready.await.unwrap_or(Err(Error::Stopped))
        };
        let work = async {
            self.within_disk(confinement.as_ref(), "a service", ready).await?;
            commands.await
        };
        services.beside(&self.stop, work).await?;
        drop(files);
        self.unless_stopped(self.result(places, request)).await
    }

    async fn commands(
        &self,
        recipe: &Recipe,
        directory: &Path,
        (variables, confinement): (&Variables, Option<&Confinement>),
    ) -> Result<(), Error> {
        for command in &recipe.commands {
            if recipe.shown {
                self.execution.log.line(&format!("$ {command}")).await;
            }
            self.run(Process { line: command, directory, variables, confinement }).await?;
        }
        Ok(())
    }

    async fn run(&self, process: Process<'_>) -> Result<(), Error> {
        let Process { line, directory, confinement, .. } = process;
        let redactor = &self.execution.redactor;
        let mut tail = Tail::without_secrets(redactor);
        let log = Channel::of(&self.execution.log, redactor);
        let mut sink = Sink { tail: &mut tail, log: Some(log) };
        let command = line.to_string();
        let running = process::run(process, &self.stop, &mut sink);
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

    /// Runs what ends when the attempt is stopped, and stops it where the execution fills its directories
    /// meanwhile.
    async fn within_disk<T>(
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

async fn working_directory(places: &Places, request: &Request) -> Result<PathBuf, Error> {
    let Some(path) = request.working_directory() else {
        return Ok(places.workspace.clone());
    };
    let found = workspace::inside(&places.workspace, plain(path), "working_directory").await?;
    found
        .filter(|found| found.is_dir())
        .ok_or_else(|| Error::Parameters(format!("working_directory {path:?} is no directory")))
}

fn is_full(path: &Path) -> bool {
    statvfs(path).is_ok_and(|disk| {
        disk.blocks_available().saturating_mul(disk.fragment_size()) < DISK_BYTES_MIN
    })
}

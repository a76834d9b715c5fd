//! One execution, from task to outcome.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_schemas::outcome::Outcome;
use nix::sys::statvfs::statvfs;

use crate::command::CommandLine;
use crate::environment::{self, Places, Variables};
use crate::error::Error;
use crate::outputs;
use crate::parameters::Request;
use crate::preset::Recipe;
use crate::process::{self, Process, Sink, Tail};
use crate::secret_files::SecretFiles;
use crate::settings::Settings;
use crate::workspace::{self, Filling, plain};

/// With less than this left on its disk, a command that failed is taken to have failed for that.
const DISK_BYTES_MIN: u64 = 1 << 20;

/// Carries an execution out.
pub(crate) async fn carry_out(settings: Arc<Settings>, execution: Execution) -> Outcome {
    let attempt = Attempt { settings: &settings, execution: &execution };
    attempt.work().await.unwrap_or_else(Error::into_outcome)
}

struct Attempt<'a> {
    settings: &'a Settings,
    execution: &'a Execution,
}

impl Attempt<'_> {
    async fn work(&self) -> Result<Outcome, Error> {
        let task = &self.execution.task;
        let request = Request::parse(&task.action, &task.with)?;
        let places = Places::make(&self.execution.scratch).await?;
        self.unless_stopped(self.fill(&places)).await?;
        let directory = working_directory(&places, &request).await?;
        let recipe = Recipe::of(&request, &directory)?;
        let toolchain = recipe.variables(&places.home);
        let mut variables = environment::of_step(self.settings, &places, task, toolchain)?;
        let secrets = &self.execution.secrets;
        let files = SecretFiles::put(&places.home, secrets, &mut variables).await?;
        for command in &recipe.commands {
            if recipe.shown {
                self.execution.log.line(&format!("$ {command}")).await;
            }
            self.run(command, &directory, &variables).await?;
        }
        drop(files);
        self.unless_stopped(self.result(&places)).await
    }

    async fn fill(&self, places: &Places) -> Result<(), Error> {
        let filling = Filling {
            settings: self.settings,
            places,
            store: &self.execution.store,
            log: &self.execution.log,
            stop: &self.execution.stop,
        };
        filling.fill(&self.execution.task).await
    }

    async fn run(
        &self,
        line: &CommandLine,
        directory: &Path,
        variables: &Variables,
    ) -> Result<(), Error> {
        let process = Process { line, directory, variables };
        let mut tail = Tail::without_secrets(&self.execution.redactor);
        let mut sink = Sink { tail: &mut tail, log: Some(&self.execution.log) };
        let ended = process::run(process, &self.execution.stop, &mut sink).await?;
        let command = line.to_string();
        if ended.success() {
            Ok(())
        } else if is_full(directory) {
            Err(Error::DiskFull { command, ended })
        } else {
            let tail = tail.text();
            Err(Error::Command { command, ended, tail })
        }
    }

    async fn result(&self, places: &Places) -> Result<Outcome, Error> {
        let declared = &self.execution.task.outputs;
        Ok(Outcome::Succeeded {
            outputs: outputs::read(&places.output, &self.execution.redactor).await?,
            artifacts: outputs::keep(&self.execution.store, &places.workspace, declared).await?,
        })
    }

    /// Runs to its end what starts no process of its own, or drops it when the attempt is stopped.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.execution.stop.run_until_cancelled(work).await.unwrap_or(Err(Error::Stopped))
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

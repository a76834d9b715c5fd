//! One execution, from task to outcome.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::sbom::ROLE;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::task::Task;
use nix::sys::statvfs::statvfs;

use crate::command::CommandLine;
use crate::container::{self, Container};
use crate::environment::{self, Places, Variables};
use crate::error::Error;
use crate::outputs;
use crate::parameters::Request;
use crate::preset::Recipe;
use crate::process::{self, Process, Sink, Tail};
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
        refuse_second_sbom(task, &request)?;
        let places = Places::make(&self.execution.scratch).await?;
        self.unless_stopped(self.fill(&places)).await?;
        if let Request::Container(with) = &request {
            return self.container(&places, with).await;
        }
        let directory = working_directory(&places, &request).await?;
        let recipe = Recipe::of(&request, &directory)?;
        let toolchain = recipe.variables(&places.home);
        let variables = environment::of_step(self.settings, &places, task, toolchain)?;
        for command in &recipe.commands {
            if recipe.shown {
                self.execution.log.line(&format!("$ {command}")).await;
            }
            self.run(command, &directory, &variables).await?;
        }
        self.unless_stopped(self.result(&places, &request)).await
    }

    async fn container(&self, places: &Places, with: &Container) -> Result<Outcome, Error> {
        let scratch = self.execution.scratch.path().await.map_err(Error::Scratch)?;
        // As programs that run elsewhere and tell of it see it.
        let scratch = tokio::fs::canonicalize(&scratch).await.map_err(Error::Scratch)?;
        let action = container::Action {
            settings: self.settings,
            task: &self.execution.task,
            with,
            places,
            workspace: &places.workspace,
            scratch: &scratch,
            store: &self.execution.store,
            log: &self.execution.log,
            stop: &self.execution.stop,
        };
        container::carry_out(&action).await
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
        let mut tail = Tail::default();
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

    async fn result(&self, places: &Places, request: &Request) -> Result<Outcome, Error> {
        let (task, store) = (&self.execution.task, &self.execution.store);
        let outputs = outputs::read(&places.output).await?;
        let mut artifacts = outputs::keep(store, &places.workspace, &task.outputs).await?;
        if let Some(path) = request.sbom() {
            let made = (&**task, artifacts.as_slice());
            artifacts.push(outputs::keep_sbom(store, &places.workspace, path, made).await?);
        }
        Ok(Outcome::Succeeded { outputs, artifacts })
    }

    /// Runs to its end what starts no process of its own, or drops it when the attempt is stopped.
    async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.execution.stop.run_until_cancelled(work).await.unwrap_or(Err(Error::Stopped))
    }
}

fn refuse_second_sbom(task: &Task, request: &Request) -> Result<(), Error> {
    let declared = task.outputs.iter().any(|output| output.role == ROLE);
    if declared && request.sbom().is_some() {
        let message = "the step keeps an artifact `sbom` of its own; give that another name, or take \
                       `sbom` out of `with`";
        return Err(Error::Parameters(message.into()));
    }
    Ok(())
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

//! One execution, from task to outcome.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::sbom::ROLE;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::{Applied, Level, SANDBOX_ROLE};
use maestro_schemas::task::Task;
use nix::sys::statvfs::statvfs;

use crate::caches::Caches;
use crate::container::{self, Container};
use crate::environment::{self, Places};
use crate::error::Error;
use crate::outputs;
use crate::parameters::Request;
use crate::preset::Recipe;
use crate::process::{self, Ended, Process, Sink, Tail};
use crate::reports;
use crate::sandbox::{self, Confinement, Host, Place, Wanted};
use crate::secret_files::SecretFiles;
use crate::settings::Settings;
use crate::workspace::{self, Filling, plain};

/// With less than this left on its disk, a command that failed is taken to have failed for that.
const DISK_BYTES_MIN: u64 = 1 << 20;

/// Carries an execution out.
pub(crate) async fn carry_out(
    settings: Arc<Settings>,
    host: Option<Arc<Host>>,
    execution: Execution,
) -> Outcome {
    let attempt = Attempt { settings: &settings, host: host.as_deref(), execution: &execution };
    let mut applied = None;
    let outcome = attempt.work(&mut applied).await.unwrap_or_else(Error::into_outcome);
    let outcome = attempt.with_tests(outcome).await;
    match applied {
        Some(applied) => attempt.with_sandbox(outcome, &applied).await,
        None => outcome,
    }
}

struct Attempt<'a> {
    settings: &'a Settings,
    host: Option<&'a Host>,
    execution: &'a Execution,
}

impl Attempt<'_> {
    async fn work(&self, applied: &mut Option<Applied>) -> Result<Outcome, Error> {
        let task = &self.execution.task;
        let request = Request::parse(&task.action, &task.with)?;
        refuse_second_sbom(task, &request)?;
        let places = Places::make(&self.execution.scratch).await?;
        places.put_share(task).await?;
        if let Request::Container(with) = &request {
            self.unless_stopped(self.fill(&places)).await?;
            return self.container(&places, with).await;
        }
        let opening = Caches::open(self.settings, task, &self.execution.log);
        let caches = self.unless_stopped(opening).await?;
        let done = self.within(&places, &request, (&caches, applied)).await;
        caches.close().await;
        done
    }

    /// Runs the commands in their sandbox.
    async fn within(
        &self,
        places: &Places,
        request: &Request,
        (caches, applied): (&Caches, &mut Option<Applied>),
    ) -> Result<Outcome, Error> {
        let task = &self.execution.task;
        let confinement = self.confine(places, caches).await?;
        *applied = confinement.as_ref().map(|confinement| confinement.applied().clone());
        self.unless_stopped(self.fill(places)).await?;
        let directory = working_directory(places, request).await?;
        let recipe = Recipe::of(request, &directory)?;
        let toolchain = recipe.variables(&places.home);
        let mut variables = environment::of_step(self.settings, places, task, (toolchain, caches))?;
        let secrets = &self.execution.secrets;
        let files = SecretFiles::put(&places.home, secrets, &mut variables)?;
        for command in &recipe.commands {
            if recipe.shown {
                self.execution.log.line(&format!("$ {command}")).await;
            }
            let process = Process {
                line: command,
                directory: &directory,
                variables: &variables,
                confinement: confinement.as_ref(),
            };
            self.run(process).await?;
        }
        drop(files);
        self.unless_stopped(self.result(places, request)).await
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

    /// The sandbox that the task asks for, or none where the worker has none and none is asked for.
    async fn confine(
        &self,
        places: &Places,
        caches: &Caches,
    ) -> Result<Option<Confinement>, Error> {
        let task = &self.execution.task;
        let wanted = Wanted::of(task);
        let Some(host) = self.host else {
            return wanted.level(Level::Plain).map(|_| None).map_err(Error::Isolation);
        };
        let own = self.execution.scratch.path().await.map_err(Error::Scratch)?;
        let place = Place {
            settings: self.settings,
            places,
            own: &own,
            caches: caches.directories.clone(),
            cache_names: caches.names.clone(),
        };
        let made = Confinement::make(host, place, &wanted, Some(&self.execution.log))?;
        self.execution.log.line(&sandbox::line(made.applied())).await;
        Ok(Some(made))
    }

    async fn run(&self, process: Process<'_>) -> Result<(), Error> {
        let Process { line, directory, confinement, .. } = process;
        let mut tail = Tail::without_secrets(&self.execution.redactor);
        let mut sink = Sink { tail: &mut tail, log: Some(&self.execution.log) };
        let (ended, overfull) = self.run_watched(process, &mut sink).await;
        let command = line.to_string();
        if let Some((found, most)) = overfull {
            return Err(Error::Overfull { command, found, most });
        }
        let mut ended = ended?;
        if let Some(confinement) = confinement {
            ended = confinement.verdict(&line.program, ended, &tail.text())?;
        }
        let memory = confinement.filter(|confinement| confinement.ran_out_of_memory());
        let most_mib = memory.and_then(|confinement| confinement.applied().limits.memory_mib);
        match most_mib {
            _ if ended.success() => Ok(()),
            Some(most_mib) => Err(Error::OutOfMemory { command, ended, most_mib }),
            None if is_full(directory) => Err(Error::DiskFull { command, ended }),
            None => Err(Error::Command { command, ended, tail: tail.text() }),
        }
    }

    /// Runs a process, which is stopped when it fills its directories: then with what they hold and
    /// may hold, in bytes.
    async fn run_watched(
        &self,
        process: Process<'_>,
        sink: &mut Sink<'_>,
    ) -> (Result<Ended, Error>, Option<(u64, u64)>) {
        let stop = self.execution.stop.child_token();
        let most = process.confinement.and_then(Confinement::disk_max);
        let own = process.confinement.map(Confinement::directories).cloned().unwrap_or_default();
        let mut running = std::pin::pin!(process::run(process, &stop, sink));
        let Some(most) = most else { return (running.await, None) };
        tokio::select! {
            ended = &mut running => (ended, None),
            found = sandbox::overfull(own, most) => {
                stop.cancel();
                (running.await, Some((found, most)))
            }
        }
    }

    /// The outcome with what the step's tests said, also where its command failed; that this cannot be
    /// read changes nothing of how it ended.
    async fn with_tests(&self, mut outcome: Outcome) -> Outcome {
        let globs = &self.execution.task.beside.junit;
        let artifacts = match &mut outcome {
            Outcome::Succeeded { artifacts, .. } | Outcome::Failed { artifacts, .. } => artifacts,
            Outcome::Cancelled { .. } => return outcome,
        };
        if globs.is_empty() || self.execution.stop.is_cancelled() {
            return outcome;
        }
        let Ok(scratch) = self.execution.scratch.path().await else { return outcome };
        let (workspace, redactor) = (&Places::below(&scratch).workspace, &self.execution.redactor);
        let read = self.unless_stopped(async {
            let report = reports::read(workspace, globs, redactor).await?;
            for warning in &report.warnings {
                self.execution.log.line(&format!("warning: {warning}")).await;
            }
            self.execution.log.line(&reports::line(&report)).await;
            reports::keep(&self.execution.store, &report).await
        });
        match read.await {
            Ok(artifact) => artifacts.push(artifact),
            Err(error) => tracing::warn!(%error, "what a step's tests said is not kept"),
        }
        outcome
    }

    /// The outcome with what the execution was kept in; that this cannot be stored changes nothing
    /// of how it ended.
    async fn with_sandbox(&self, mut outcome: Outcome, applied: &Applied) -> Outcome {
        let Ok(text) = serde_json::to_vec(applied) else { return outcome };
        match self.execution.store.put(text).await {
            Ok(stored) => {
                let artifact = Artifact {
                    role: SANDBOX_ROLE.to_owned(),
                    digest: stored.digest,
                    size: stored.size,
                    media_type: "application/json".to_owned(),
                };
                match &mut outcome {
                    Outcome::Succeeded { artifacts, .. }
                    | Outcome::Failed { artifacts, .. }
                    | Outcome::Cancelled { artifacts } => artifacts.push(artifact),
                }
            }
            Err(error) => tracing::warn!(%error, "what an execution was kept in is not kept"),
        }
        outcome
    }

    async fn result(&self, places: &Places, request: &Request) -> Result<Outcome, Error> {
        let (task, store) = (&self.execution.task, &self.execution.store);
        let outputs = outputs::read(&places.output, &self.execution.redactor).await?;
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

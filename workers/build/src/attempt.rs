//! One execution, from task to outcome.

mod byproducts;
mod commands;
mod running;
mod sandboxes;

use std::sync::Arc;

use maestro_kit::action::Execution;
use maestro_kit::evidence::sbom::ROLE;
use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::Applied;
use maestro_schemas::task::Task;
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::container::{self, Container};
use crate::environment::Places;
use crate::error::Error;
use crate::outputs;
use crate::parameters::Request;
use crate::sandbox::Host;
use crate::settings::Settings;
use crate::workspace::Filling;
pub(crate) use running::Running;
pub(crate) use sandboxes::Sandboxes;

/// Carries an execution out.
pub(crate) async fn carry_out(
    settings: Arc<Settings>,
    host: Option<Arc<Host>>,
    execution: Execution,
) -> Outcome {
    let attempt = Attempt {
        settings: &settings,
        host: host.as_deref(),
        stop: execution.stop.child_token(),
        execution: &execution,
    };
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
    /// Stops its commands, whoever wants that: the execution, or what goes on beside them.
    stop: CancellationToken,
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
            return self.container(with).await;
        }
        let opening = Caches::open(self.settings, task, &self.execution.log);
        let caches = self.unless_stopped(opening).await?;
        let done = self.within(&places, &request, (&caches, applied)).await;
        caches.close().await;
        done
    }

    /// Builds an image of the workspace, which has been filled.
    async fn container(&self, with: &Container) -> Result<Outcome, Error> {
        let scratch = self.execution.scratch.path().await.map_err(Error::Scratch)?;
        // As programs that run elsewhere and tell of it see it.
        let scratch = tokio::fs::canonicalize(&scratch).await.map_err(Error::Scratch)?;
        let places = Places::below(&scratch);
        let action = container::Action {
            settings: self.settings,
            host: self.host,
            task: &self.execution.task,
            with,
            places: &places,
            scratch: &scratch,
            store: &self.execution.store,
            running: self.running(),
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

    fn running(&self) -> Running<'_> {
        let Execution { log, redactor, .. } = self.execution;
        Running { log, redactor, stop: &self.stop }
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

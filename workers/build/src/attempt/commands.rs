//! A step's commands, one after the other in its sandbox, with its services beside them.

use std::path::{Path, PathBuf};

use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::Applied;

use super::Attempt;
use super::sandboxes::Sandboxes;
use crate::caches::Caches;
use crate::environment::{self, Places, Variables};
use crate::error::Error;
use crate::parameters::Request;
use crate::preset::Recipe;
use crate::process::Process;
use crate::sandbox::{self, Confinement};
use crate::secret_files::SecretFiles;
use crate::services::Services;
use crate::workspace::{self, plain};

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
            self.running().within_disk(confinement.as_ref(), "a service", ready).await?;
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
            let process = Process { line: command, directory, variables, confinement };
            self.running().run(process).await?;
        }
        Ok(())
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

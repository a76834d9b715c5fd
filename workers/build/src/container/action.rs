//! One execution of `container.build`: build, keep, push.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use maestro_kit::evidence::image::{self, Base, Built, Layout, Platform, Recipe, compose};
use maestro_kit::evidence::sbom::ROLE as SBOM_ROLE;
use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::evidence::tree::{self, Limits, Placer};
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE};
use maestro_schemas::outcome::{Outcome, Outputs};
use maestro_schemas::sandbox::Isolation;
use maestro_schemas::task::Task;
use serde_json::json;

use super::buildah;
use super::credentials::Credentials;
use super::files::{self, Wanted};
use super::parameters::Container;
use super::plan::{self, Names};
use super::refusal::Refusal;
use super::registry::{self, Client};
use super::sbom;
use crate::attempt::Running;
use crate::environment::{self, Places, Variables};
use crate::error::Error;
use crate::outputs;
use crate::sandbox::{self, Host};
use crate::settings::Settings;
use crate::workspace::{inside, plain};

/// The action.
pub(crate) const NAME: &str = "container.build";
/// The role of the image's manifest, whose digest is the image's.
const IMAGE_ROLE: &str = "image";
/// The role of the whole layout.
const LAYOUT_ROLE: &str = "image-layout";

/// What an execution works with; its workspace has been filled.
pub(crate) struct Action<'a> {
    pub(crate) settings: &'a Settings,
    /// What sandboxes there are; absent where the worker has none.
    pub(crate) host: Option<&'a Host>,
    pub(crate) task: &'a Task,
    pub(crate) with: &'a Container,
    pub(crate) places: &'a Places,
    /// The execution's own directory.
    pub(crate) scratch: &'a Path,
    pub(crate) store: &'a ArtifactStore,
    pub(crate) running: Running<'a>,
}

/// Builds the image, keeps it, and pushes it where that was asked for and can be done.
pub(crate) async fn carry_out(action: &Action<'_>) -> Result<Outcome, Error> {
    let task = action.task;
    let fallback = task.pipeline.as_deref().unwrap_or(task.project.as_str());
    let names = Names::of(action.with, fallback)?;
    action.check(&names)?;
    // Before the work, so that a file that cannot be read is not found out after it.
    let credentials = Credentials::read(action.settings.registry_auth.as_deref());
    let credentials = credentials.map_err(Refusal::from)?;
    let out = action.out();
    let built = action.build(&names, &credentials, &out).await?;
    let digest = built.manifest.digest;
    let line = format!("built {}@{digest}, {} bytes", names.repository, built.size);
    action.running.log.line(&line).await;
    let mut artifacts = action.keep(&out, &built).await?;
    artifacts.extend(action.describe(&names, &out, &built).await?);
    let pushed = action.push(&names, &credentials, &out, &built).await?;
    if action.with.sign {
        let line = format!("the coordinator signs how {digest} was made, once the run has ended");
        action.running.log.line(&line).await;
    }
    artifacts.extend(action.keep_declared(&out).await?);
    Ok(Outcome::Succeeded { outputs: outputs(&names, &built, pushed), artifacts })
}

/// What later steps can read of the image.
fn outputs(names: &Names, built: &Built, pushed: bool) -> Outputs {
    let digest = built.manifest.digest;
    let platform = &built.platform;
    let variant = platform.variant.iter().map(|variant| format!("/{variant}"));
    let platform = format!("{}/{}", platform.os, platform.architecture);
    let values = [
        ("digest", json!(digest)),
        ("reference", json!(format!("{}@{digest}", names.repository))),
        ("tags", json!(names.tags)),
        ("size", json!(built.size)),
        ("platform", json!(variant.fold(platform, |whole, part| whole + &part))),
        ("pushed", json!(pushed)),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Action<'_> {
    fn check(&self, names: &Names) -> Result<(), Refusal> {
        if self.with.push == Some(true) && names.references.is_empty() {
            let what = "push: found true without `registry`, expected one to push to";
            return Err(Refusal::parameter(what, "as `registry: ghcr.io/me`"));
        }
        let own = [IMAGE_ROLE, LAYOUT_ROLE, SBOM_ROLE];
        match self.task.outputs.iter().find(|output| own.contains(&output.role.as_str())) {
            Some(output) => Err(Refusal::parameter(
                format!("artifacts: the name {:?} is taken by the action itself", output.role),
                "name it otherwise",
            )),
            None => Ok(()),
        }
    }

    async fn build(
        &self,
        names: &Names,
        credentials: &Credentials,
        out: &Path,
    ) -> Result<Built, Error> {
        if let Some(dockerfile) = buildah::dockerfile(&self.places.workspace, self.with).await? {
            self.permits_buildah()?;
            return buildah::build(self, &dockerfile, (names, credentials)).await;
        }
        let given = [
            ("context", self.with.context.is_some()),
            ("build_args", !self.with.build_args.is_empty()),
            ("target", self.with.target.is_some()),
        ];
        if let Some((name, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            let what = format!("{name}: found it without a Dockerfile, expected `dockerfile`");
            return Err(Refusal::parameter(what, "leave it out, or name the Dockerfile").into());
        }
        self.build_from_files(names, out).await
    }

    /// buildah makes the sandboxes of its commands itself, and cannot do so within one of ours.
    fn permits_buildah(&self) -> Result<(), Refusal> {
        // One of the strict pool asks for it, whatever it says.
        let confined =
            sandbox::Wanted::of(self.task).isolation.filter(|wanted| *wanted != Isolation::Plain);
        let confined = confined.map(|wanted| format!("isolation: found {}", wanted.as_str()));
        let listed = self.task.network.as_ref().map(|_| "network: found a rule".to_owned());
        match confined.or(listed) {
            Some(found) => Err(Refusal::parameter(
                format!("{found} beside a Dockerfile, whose commands buildah runs by itself"),
                "build from `files`, or leave it out and read docs/containers.md",
            )),
            None => Ok(()),
        }
    }

    async fn build_from_files(&self, names: &Names, out: &Path) -> Result<Built, Error> {
        let with = self.with.clone();
        let (changes, platform) = (plan::changes(&with)?, plan::platform(&with)?);
        let epoch = plan::epoch(self.task)?;
        let base = self.base().await?;
        let (workspace, out, tags) =
            (self.places.workspace.clone(), out.to_owned(), names.tags.clone());
        if with.files.is_none() {
            let place = changes.workdir.as_deref().unwrap_or("/");
            let line = format!("no Dockerfile and no `files`: all files go to {place}");
            self.running.log.line(&line).await;
        }
        let make = move || {
            let wanted = Wanted {
                files: with.files.as_ref(),
                exclude: &with.exclude,
                aside: base.as_ref().and(with.base.as_deref()),
                workdir: changes.workdir.as_deref().unwrap_or("/"),
            };
            let files = files::select(&workspace, &wanted)?;
            let base = match &base {
                Some(path) => Base::Layout { path, platform },
                None => Base::Scratch { platform: platform.unwrap_or_else(Platform::here) },
            };
            Ok(compose(&out, &Recipe { base, files, changes, tags, epoch })?)
        };
        let made: Result<Built, Refusal> = self.thread(make).await?;
        Ok(made?)
    }

    /// The layout that the image is put upon; nothing for `scratch`.
    pub(super) async fn base(&self) -> Result<Option<PathBuf>, Error> {
        let Some(base) = self.with.base.as_deref().filter(|_| !plan::is_upon_nothing(self.with))
        else {
            return Ok(None);
        };
        let found = inside(&self.places.workspace, plain(base), "base").await?;
        match found.filter(|path| path.is_dir()) {
            Some(path) => Ok(Some(path)),
            None => Err(Refusal::parameter(
                format!("base: found no directory {base:?} in the workspace"),
                "put an OCI image layout there with `use`, or write `base: scratch`",
            )
            .into()),
        }
    }

    /// Keeps a list of what the image is made of, where that is asked for.
    async fn describe(
        &self,
        names: &Names,
        out: &Path,
        built: &Built,
    ) -> Result<Option<Artifact>, Error> {
        if !self.with.sbom {
            return Ok(None);
        }
        let (subject, out) = (sbom::subject(names, built), out.to_owned());
        let found = self.thread(move || sbom::describe(&out, &subject)).await??;
        let line = format!("sbom: {} packages, by {}", found.components, found.sources.join(", "));
        self.running.log.line(&line).await;
        outputs::put_sbom(self.store, found).await.map(Some)
    }

    /// Keeps the manifest, whose digest is the image's, and the whole layout.
    async fn keep(&self, out: &Path, built: &Built) -> Result<Vec<Artifact>, Error> {
        let what = || "cannot keep the image".to_owned();
        let taken = tree::snapshot(self.store, out, |_, _| true, Limits::default())
            .await
            .map_err(Error::tree(what()))?;
        // The manifest is a file of the layout, and so an object already.
        let manifest = Artifact {
            role: IMAGE_ROLE.to_owned(),
            digest: built.manifest.digest,
            size: built.manifest.size,
            media_type: built.manifest.media_type.clone(),
        };
        let layout = Artifact {
            role: LAYOUT_ROLE.to_owned(),
            digest: taken.stored.digest,
            size: taken.stored.size,
            media_type: TREE_MEDIA_TYPE.to_owned(),
        };
        Ok(vec![manifest, layout])
    }

    /// Puts the layout where the step wants it, and keeps what the step declares.
    async fn keep_declared(&self, out: &Path) -> Result<Vec<Artifact>, Error> {
        if let Some(place) = self.with.layout.as_deref().map(plain) {
            let mut placer = Placer::new(&self.places.workspace);
            let what = || format!("cannot put the layout at {place:?}");
            let to = placer.directory(place).map_err(Error::tree(what()))?;
            tokio::fs::rename(out, &to)
                .await
                .map_err(|source| Error::files("cannot put the layout at", &to, source))?;
        }
        outputs::keep(self.store, &self.places.workspace, &self.task.outputs).await
    }

    /// Pushes where that was asked for, or where the worker has credentials; answers whether it did.
    async fn push(
        &self,
        names: &Names,
        credentials: &Credentials,
        out: &Path,
        built: &Built,
    ) -> Result<bool, Error> {
        let Some(reference) = names.references.first() else {
            return Ok(false);
        };
        let registry = &reference.registry;
        let reason = match self.with.push {
            Some(false) => Some("`push` is false".to_owned()),
            None if credentials.of(registry, &reference.repository).is_none() => {
                let helped = credentials.is_helped(registry);
                let more = if helped { " but by a helper program, which is not run" } else { "" };
                Some(format!("no credentials for {registry}{more}"))
            }
            _ => None,
        };
        if let Some(reason) = reason {
            self.running.log.line(&format!("not pushed: {reason}")).await;
            return Ok(false);
        }
        let layout = Layout::open(out).map_err(Refusal::from)?;
        let client = Client::new(credentials.clone()).map_err(Refusal::from)?;
        let repository = client.repository(reference).map_err(Refusal::from)?;
        let tags: BTreeSet<String> = names.tags.iter().cloned().collect();
        let tags: Vec<String> = tags.into_iter().collect();
        let pushed = registry::push(&repository, &layout, &built.manifest, &tags);
        let pushed = self.unless_stopped(pushed).await?.map_err(Refusal::from)?;
        for reference in &names.references {
            let line = format!("pushed {reference}@{}", pushed.digest);
            self.running.log.line(&line).await;
        }
        Ok(true)
    }

    /// The variables of a program of the worker's. The step's own are not among them: some have programs
    /// load code, and this one runs in no sandbox.
    pub(super) fn variables(&self) -> Variables {
        environment::of_host(self.settings, self.places)
    }

    /// Does something with an image that blocks.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, image::Error> + Send + 'static,
    ) -> Result<T, Error> {
        Ok(self.thread(work).await?.map_err(Refusal::from)?)
    }

    async fn thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let working = tokio::task::spawn_blocking(work);
        self.unless_stopped(working).await?.map_err(|_| Error::ShuttingDown)
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.running.stop.run_until_cancelled(work).await.ok_or(Error::Stopped)
    }
}

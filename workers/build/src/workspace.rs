//! What a step works in: a directory filled from a git commit, a tree and input artifacts.

mod by_path;
mod git;

use std::path::{Path, PathBuf};

use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::evidence::tree::{self, Limits, Placer};
use maestro_kit::log::LogSink;
use maestro_schemas::artifact::TREE_MEDIA_TYPE;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Workspace;
use maestro_schemas::task::{Task, TaskInput};
use tokio_util::sync::CancellationToken;

use crate::environment::{self, Places};
use crate::error::Error;
use crate::settings::Settings;

/// What filling a workspace needs.
pub(crate) struct Filling<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) places: &'a Places,
    pub(crate) store: &'a ArtifactStore,
    pub(crate) log: &'a LogSink,
    pub(crate) stop: &'a CancellationToken,
}

impl Filling<'_> {
    /// Fills the workspace with what the task says; every object is verified.
    ///
    /// Inputs are put last and replace a file that already stands at their path. Nothing is written
    /// outside the workspace, whatever a tree, a commit or a path says.
    pub(crate) async fn fill(&self, task: &Task) -> Result<(), Error> {
        let root = &self.places.workspace;
        match &task.workspace {
            Workspace::Empty => {}
            Workspace::Tree { digest } => self.put_tree(*digest, root, "workspace").await?,
            Workspace::Git { url, commit } => {
                let variables = environment::of_host(self.settings, self.places);
                let checkout = git::Checkout {
                    url,
                    commit,
                    directory: root,
                    variables: &variables,
                    roots: &self.settings.checkout_roots,
                };
                checkout.run(self.stop, self.log).await?;
            }
        }
        for input in &task.inputs {
            self.put_input(input).await?;
        }
        Ok(())
    }

    async fn put_input(&self, input: &TaskInput) -> Result<(), Error> {
        let role = &input.artifact.role;
        let what = || format!("cannot put input {role:?} at {:?}", input.path);
        let mut placer = Placer::new(&self.places.workspace);
        if input.artifact.media_type == TREE_MEDIA_TYPE {
            let directory = match plain(&input.path) {
                "" => self.places.workspace.clone(),
                path => placer.directory(path).map_err(Error::tree(what()))?,
            };
            return self.put_tree(input.artifact.digest, &directory, role).await;
        }
        let place = placer.file(plain(&input.path)).map_err(Error::tree(what()))?;
        self.store
            .get_to_file(input.artifact.digest, &place)
            .await
            .map_err(Error::store(what()))?;
        Ok(())
    }

    async fn put_tree(&self, digest: Digest, directory: &Path, name: &str) -> Result<(), Error> {
        let limits = Limits::default();
        let what = || format!("cannot put {name:?} into the workspace");
        let lost = |error| Error::tree(what())(error).within(digest);
        let tree = tree::get(self.store, digest, limits).await.map_err(lost)?;
        tree::materialise(self.store, tree, directory, limits).await.map_err(lost)
    }
}

/// A path as authors write it, without the `./` before and the `/` behind.
pub(crate) fn plain(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    match path.strip_prefix("./").unwrap_or(path) {
        "." => "",
        path => path,
    }
}

/// The real path of something in the workspace, or nothing where nothing is there; refused where it
/// is, or leads, outside.
pub(crate) async fn inside(
    root: &Path,
    path: &str,
    what: &'static str,
) -> Result<Option<PathBuf>, Error> {
    let outside = || Error::Outside { what, path: path.chars().take(120).collect() };
    if path.starts_with('/') || path.contains('\0') {
        return Err(outside());
    }
    let real = |path: PathBuf| async move {
        match tokio::fs::canonicalize(&path).await {
            Ok(real) => Ok(Some(real)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::files("cannot look at", &path, source)),
        }
    };
    let Some(root) = real(root.to_owned()).await? else {
        return Ok(None);
    };
    match real(root.join(path)).await? {
        Some(found) if found.starts_with(&root) => Ok(Some(found)),
        Some(_) => Err(outside()),
        None => Ok(None),
    }
}

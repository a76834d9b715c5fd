//! What a step's project is made of, kept as one more artifact.

use std::path::Path;

use maestro_kit::evidence::sbom::{self, Limits, Made, Sbom, Subject};
use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE};
use maestro_schemas::task::Task;

use crate::error::Error;
use crate::workspace::{inside, plain};

/// Describes the directory `path` of the workspace, and names the files that the step kept.
pub(crate) async fn keep_sbom(
    store: &ArtifactStore,
    workspace: &Path,
    path: &str,
    (task, kept): (&Task, &[Artifact]),
) -> Result<Artifact, Error> {
    let directory = inside(workspace, plain(path), "sbom")
        .await?
        .filter(|found| found.is_dir())
        .ok_or_else(|| Error::Parameters(format!("sbom: {path:?} is no directory")))?;
    let files = kept.iter().filter(|artifact| artifact.media_type != TREE_MEDIA_TYPE);
    let made = files.map(|file| Made { name: file.role.clone(), digest: file.digest }).collect();
    let subject = Subject { made, ..Subject::project(task.name.clone()) };
    let describe = move || sbom::of_directory(&subject, &directory, Limits::default());
    let found = tokio::task::spawn_blocking(describe).await.map_err(|_| Error::ShuttingDown)?;
    let found = found.and_then(|found| match found.sources.is_empty() {
        true => Err(sbom::Error::nothing(if plain(path).is_empty() { "." } else { path })),
        false => Ok(found),
    });
    put_sbom(store, found.map_err(Error::Sbom)?).await
}

/// Keeps a document.
pub(crate) async fn put_sbom(store: &ArtifactStore, found: Sbom) -> Result<Artifact, Error> {
    let stored =
        store.put(found.json).await.map_err(Error::store("cannot keep the artifact \"sbom\""))?;
    Ok(Artifact {
        role: sbom::ROLE.into(),
        digest: stored.digest,
        size: stored.size,
        media_type: sbom::MEDIA_TYPE.into(),
    })
}

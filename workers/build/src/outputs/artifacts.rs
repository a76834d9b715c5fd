//! Declared outputs: files and directories of the workspace that are kept.

use std::path::Path;

use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::evidence::tree::{self, Limits};
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE};
use maestro_schemas::plan::OutputArtifact;

use crate::error::Error;
use crate::workspace::{inside, plain};

/// Stores what was declared, in its order; one that is missing is an error unless it is optional.
pub(crate) async fn keep(
    store: &ArtifactStore,
    workspace: &Path,
    declared: &[OutputArtifact],
) -> Result<Vec<Artifact>, Error> {
    let mut artifacts = Vec::with_capacity(declared.len());
    for output in declared {
        match inside(workspace, plain(&output.path), "output").await? {
            Some(path) => artifacts.push(keep_one(store, output, &path).await?),
            None if output.optional => {}
            None => {
                return Err(Error::MissingOutput {
                    role: output.role.clone(),
                    path: output.path.clone(),
                });
            }
        }
    }
    Ok(artifacts)
}

async fn keep_one(
    store: &ArtifactStore,
    output: &OutputArtifact,
    path: &Path,
) -> Result<Artifact, Error> {
    let what = || format!("cannot keep output {:?}, {:?}", output.role, output.path);
    let meta = tokio::fs::metadata(path)
        .await
        .map_err(|source| Error::files("cannot look at", path, source))?;
    let (digest, size, media_type) = if meta.is_dir() {
        let own_files = |path: &str, is_dir: bool| !(is_dir && path == ".git");
        let taken = tree::snapshot(store, path, own_files, Limits::default())
            .await
            .map_err(Error::tree(what()))?;
        (taken.stored.digest, taken.stored.size, TREE_MEDIA_TYPE)
    } else {
        let stored = store.put_file(path).await.map_err(Error::store(what()))?;
        (stored.digest, stored.size, media_type(path))
    };
    Ok(Artifact { role: output.role.clone(), digest, size, media_type: media_type.to_owned() })
}

/// The media type that a file's name speaks of.
fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => "application/json",
        Some("txt" | "log") => "text/plain; charset=utf-8",
        Some("md") => "text/markdown; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("csv") => "text/csv",
        Some("xml") => "application/xml",
        Some("yaml" | "yml") => "application/yaml",
        Some("tar") => "application/x-tar",
        Some("gz" | "tgz") => "application/gzip",
        Some("zip" | "whl") => "application/zip",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}

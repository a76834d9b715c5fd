//! A whole image: push a layout, pull one.

use std::path::Path;

use bytes::Bytes;
use maestro_kit::evidence::image::{
    Built, Descriptor, INDEX_MEDIA_TYPE, Index, LAYERS_MAX, Layout, MANIFEST_MEDIA_TYPE, Manifest,
    Platform, adopt, image_of_index,
};
use maestro_schemas::digest::Digest;

use super::blob::{Source, unable};
use super::client::Repository;
use super::error::Error;

/// What a push did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    /// The image's digest in the registry.
    pub digest: Digest,
    /// How many blobs were sent.
    pub sent: usize,
    /// How many were there already.
    pub present: usize,
}

/// Pushes the image of a layout that was made here, and names it by each tag. Its manifest goes
/// last, so that nobody pulls a part of it.
pub async fn push(
    repository: &Repository,
    layout: &Layout,
    manifest: &Descriptor,
    tags: &[String],
) -> Result<Pushed, Error> {
    let bytes = Bytes::from(layout.read(manifest).map_err(|error| repository.untrue(error))?);
    let parts: Manifest = parsed(repository, manifest, &bytes)?;
    let mut pushed = Pushed { digest: manifest.digest, sent: 0, present: 0 };
    for blob in parts.layers.iter().chain([&parts.config]) {
        let path = layout.blob(blob.digest);
        if repository.put_blob(blob, Source::File(&path)).await? {
            pushed.sent += 1;
        } else {
            pushed.present += 1;
        }
    }
    for name in tags {
        repository.put_manifest(name, &manifest.media_type, &bytes).await?;
    }
    // What was put by a tag can be replaced by another before it is signed; the digest stays.
    match repository.manifest(&manifest.digest.to_string()).await? {
        Some(_) => Ok(pushed),
        None => {
            let doing = format!("giving manifest {}", manifest.digest);
            Err(repository.answer(404, &doing, "it had just taken it"))
        }
    }
}

/// Pulls the image that `name` (a tag or a digest) has for `wanted` into a new layout at `path`, and
/// reads all of it.
pub async fn pull(
    repository: &Repository,
    name: &str,
    wanted: Option<&Platform>,
    path: &Path,
) -> Result<Built, Error> {
    let (mut descriptor, mut bytes) = found(repository, name).await?;
    let index: Option<Index> = serde_json::from_slice(&bytes).ok();
    if let Some(index) = index.filter(|index| !index.manifests.is_empty()) {
        let chosen = image_of_index(index, wanted).map_err(|error| repository.untrue(error))?;
        (descriptor, bytes) = found(repository, &chosen.digest.to_string()).await?;
    }
    let manifest: Manifest = parsed(repository, &descriptor, &bytes)?;
    let layout = Layout::create(path).map_err(|error| repository.untrue(error))?;
    let put = layout.put(MANIFEST_MEDIA_TYPE, &bytes).map_err(|error| repository.untrue(error))?;
    layout.name(&put, &[]).map_err(|error| repository.untrue(error))?;
    for blob in manifest.layers.iter().take(LAYERS_MAX).chain([&manifest.config]) {
        let path = layout.blob(blob.digest);
        if !tokio::fs::try_exists(&path).await.map_err(unable)? {
            repository.get_blob(blob, &path).await?;
        }
    }
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || adopt(&path, &[], None));
    let read = read.await.map_err(|error| Error::Unable { problem: error.to_string() })?;
    read.map_err(|error| repository.untrue(error))
}

async fn found(repository: &Repository, name: &str) -> Result<(Descriptor, Bytes), Error> {
    let doing = format!("giving manifest {name}");
    let found = repository.manifest(name).await?;
    found.ok_or_else(|| repository.answer(404, &doing, "there is no such image"))
}

fn parsed(
    repository: &Repository,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<Manifest, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let doing = format!("giving manifest {}", descriptor.digest);
        let what =
            if descriptor.media_type == INDEX_MEDIA_TYPE { "an index" } else { "no manifest" };
        repository.answer(200, &doing, &format!("it is {what}: {error}"))
    })
}

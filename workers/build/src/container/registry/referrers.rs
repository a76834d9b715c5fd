//! What goes with an image: a signature, a list of its parts.
//!
//! A registry of the specification 1.1 lists such manifests itself. Where it does not, the list is
//! an index under the tag `sha256-<hex>`, which whoever adds to it reads, changes and writes. Two
//! processes that do that at once may lose one entry; so it is read again after it was written, and
//! written again where the entry is gone. Clones of one client take turns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use maestro_kit::evidence::image::{
    Descriptor, EMPTY_MEDIA_TYPE, INDEX_MEDIA_TYPE, Index, JSON_BYTES_MAX, MANIFEST_MEDIA_TYPE,
    Manifest, encode,
};
use maestro_schemas::digest::Digest;
use reqwest::StatusCode;

use super::blob::Source;
use super::client::Repository;
use super::error::Error;

/// How often the list is written in all.
const TRIES: u32 = 6;
/// The pause before it is written again; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// The most entries of a list.
const ENTRIES_MAX: usize = 1_000;
const EMPTY: &[u8] = b"{}";

/// What is attached to an image.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Its bytes.
    pub bytes: Bytes,
    /// What it is, as `application/vnd.dev.sigstore.bundle.v0.3+json`: the media type of the bytes
    /// and the type under which it is listed.
    pub artifact_type: String,
    /// What is said of it.
    pub annotations: BTreeMap<String, String>,
}

/// How something was attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The manifest that names the bytes and the image.
    pub manifest: Descriptor,
    /// Whether the registry lists it by itself; else it stands in the list under a tag.
    pub listed: bool,
}

/// Attaches bytes to an image that is in the repository, by its digest.
///
/// The same bytes with the same annotations are the same manifest, so that attaching again changes
/// nothing.
pub async fn attach(
    repository: &Repository,
    image: Digest,
    attachment: &Attachment,
) -> Result<Attached, Error> {
    let doing = format!("giving manifest {image}");
    let Some((subject, _)) = repository.manifest(&image.to_string()).await? else {
        return Err(repository.answer(404, &doing, "there is no such image to attach to"));
    };
    let untrue = |error| repository.untrue(error);
    let empty = Bytes::from_static(EMPTY);
    let config = Descriptor::of(EMPTY_MEDIA_TYPE, &empty);
    let layer = Descriptor::of(&attachment.artifact_type, &attachment.bytes);
    repository.put_blob(&config, Source::Memory(&empty)).await?;
    repository.put_blob(&layer, Source::Memory(&attachment.bytes)).await?;
    let mut manifest = Manifest::of(config, vec![layer]);
    manifest.artifact_type = Some(attachment.artifact_type.clone());
    manifest.subject = Some(Descriptor::new(&subject.media_type, subject.digest, subject.size));
    if !attachment.annotations.is_empty() {
        manifest.annotations = Some(attachment.annotations.clone());
    }
    let bytes = Bytes::from(encode(&manifest).map_err(untrue)?);
    let mut entry = Descriptor::of(MANIFEST_MEDIA_TYPE, &bytes);
    let listed =
        repository.put_manifest(&entry.digest.to_string(), MANIFEST_MEDIA_TYPE, &bytes).await?;
    entry.artifact_type = manifest.artifact_type;
    entry.annotations = manifest.annotations;
    if !listed && listing(repository, image).await?.is_none() {
        add_to_tag(repository, image, &entry).await?;
        return Ok(Attached { manifest: entry, listed: false });
    }
    Ok(Attached { manifest: entry, listed: true })
}

/// What goes with an image, of one type or of any.
pub async fn referrers(
    repository: &Repository,
    image: Digest,
    artifact_type: Option<&str>,
) -> Result<Vec<Descriptor>, Error> {
    let mut found = match listing(repository, image).await? {
        Some(index) => index.manifests,
        None => tagged(repository, image).await?.manifests,
    };
    let fits = |entry: &Descriptor| {
        artifact_type.is_none_or(|wanted| entry.artifact_type.as_deref() == Some(wanted))
    };
    // A registry may list what was put twice as two.
    let mut seen = BTreeSet::new();
    found.retain(|entry| fits(entry) && seen.insert(entry.digest));
    found.truncate(ENTRIES_MAX);
    Ok(found)
}

/// The bytes of what [`referrers`] names: its only layer, of at most `most` bytes.
pub async fn attached(
    repository: &Repository,
    entry: &Descriptor,
    most: u64,
) -> Result<Bytes, Error> {
    let doing = format!("giving manifest {}", entry.digest);
    let found = repository.manifest(&entry.digest.to_string()).await?;
    let (_, bytes) = found.ok_or_else(|| repository.answer(404, &doing, "it had listed it"))?;
    let manifest: Option<Manifest> = serde_json::from_slice(&bytes).ok();
    let layers = manifest.map(|manifest| manifest.layers).unwrap_or_default();
    let [layer] = layers.as_slice() else {
        return Err(repository.answer(200, &doing, "expected a manifest of one layer"));
    };
    if layer.size > most {
        return Err(repository.answer(200, &doing, &format!("a layer of more than {most} bytes")));
    }
    repository.small_blob(layer).await
}

/// The registry's own list; nothing where it keeps none.
async fn listing(repository: &Repository, image: Digest) -> Result<Option<Index>, Error> {
    let doing = format!("listing what goes with {image}");
    // Beside `manifests` and `blobs`, as everything of a repository.
    let response = repository.get(&format!("referrers/{image}"), &doing, |request| request).await?;
    match response.status() {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return Ok(None),
        status if !status.is_success() => return Err(repository.refusal(response, &doing).await),
        _ => {}
    }
    let most = usize::try_from(JSON_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes = repository.body(response, most, &doing).await?;
    match serde_json::from_slice::<Index>(&bytes) {
        Ok(index) if index.manifests.len() <= ENTRIES_MAX => Ok(Some(index)),
        Ok(_) => Err(repository.answer(200, &doing, "more than 1000 entries")),
        Err(error) => Err(repository.answer(200, &doing, &error.to_string())),
    }
}

fn tag(image: Digest) -> String {
    format!("sha256-{}", image.to_hex())
}

/// The list under the tag; empty where there is none.
async fn tagged(repository: &Repository, image: Digest) -> Result<Index, Error> {
    let Some((descriptor, bytes)) = repository.manifest(&tag(image)).await? else {
        return Ok(Index::of(Vec::new()));
    };
    let doing = format!("giving manifest {}", tag(image));
    if descriptor.media_type != INDEX_MEDIA_TYPE {
        let problem = format!("it is {:?}, expected an index", descriptor.media_type);
        return Err(repository.answer(200, &doing, &problem));
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| repository.answer(200, &doing, &error.to_string()))
}

async fn add_to_tag(
    repository: &Repository,
    image: Digest,
    entry: &Descriptor,
) -> Result<(), Error> {
    let _alone = repository.client.lists.lock().await;
    let is_in = |index: &Index| index.manifests.iter().any(|known| known.digest == entry.digest);
    let mut pause = PAUSE;
    for _ in 0..TRIES {
        let mut index = tagged(repository, image).await?;
        if is_in(&index) {
            return Ok(());
        }
        if index.manifests.len() >= ENTRIES_MAX {
            let doing = format!("taking manifest {}", tag(image));
            return Err(repository.answer(200, &doing, "its list has 1000 entries already"));
        }
        index.manifests.push(entry.clone());
        let bytes = Bytes::from(encode(&index).map_err(|error| repository.untrue(error))?);
        repository.put_manifest(&tag(image), INDEX_MEDIA_TYPE, &bytes).await?;
        // Whoever read before this and writes after it takes the entry away again.
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    if is_in(&tagged(repository, image).await?) {
        return Ok(());
    }
    let (registry, digest) = (repository.registry.clone(), image.to_string());
    Err(Error::Raced { registry, digest, tries: TRIES })
}

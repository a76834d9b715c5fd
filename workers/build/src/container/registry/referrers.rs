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
use reqwest::header::LINK;
use reqwest::{Response, StatusCode, Url};

use super::blob::Source;
use super::client::Repository;
use super::error::Error;

/// How often the list is written in all.
const TRIES: u32 = 6;
/// The pause before it is written again; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// The most entries of a list.
const ENTRIES_MAX: usize = 1_000;
/// In how many pieces the registry may give its list.
const PAGES_MAX: usize = 20;
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

/// The registry's own list, all pages of it; nothing where it keeps none.
async fn listing(repository: &Repository, image: Digest) -> Result<Option<Index>, Error> {
    let doing = format!("listing what goes with {image}");
    // Beside `manifests` and `blobs`, as everything of a repository.
    let mut url = repository.url(&format!("referrers/{image}"))?;
    let mut all: Option<Index> = None;
    for _ in 0..PAGES_MAX {
        let response = repository.get_at(url, &doing, |request| request).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED if all.is_none() => {
                return Ok(None);
            }
            status if !status.is_success() => {
                return Err(repository.refusal(response, &doing).await);
            }
            _ => {}
        }
        let next = next(repository, &response)?;
        let page = page(repository, response, &doing).await?;
        let whole = match all.take() {
            None => page,
            Some(mut whole) => {
                whole.manifests.extend(page.manifests);
                whole
            }
        };
        is_small(repository, &whole, &doing)?;
        match next {
            Some(next) => (url, all) = (next, Some(whole)),
            None => return Ok(Some(whole)),
        }
    }
    Err(repository.answer(200, &doing, &format!("more than {PAGES_MAX} pages")))
}

async fn page(repository: &Repository, response: Response, doing: &str) -> Result<Index, Error> {
    let most = usize::try_from(JSON_BYTES_MAX).unwrap_or(usize::MAX);
    let bytes = repository.body(response, most, doing).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| repository.answer(200, doing, &error.to_string()))
}

fn is_small(repository: &Repository, index: &Index, doing: &str) -> Result<(), Error> {
    match index.manifests.len() <= ENTRIES_MAX {
        true => Ok(()),
        false => Err(repository.answer(200, doing, &format!("more than {ENTRIES_MAX} entries"))),
    }
}

/// Where a list goes on, if it does: at the registry itself, and nowhere else.
///
/// <https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#listing-referrers>
fn next(repository: &Repository, response: &Response) -> Result<Option<Url>, Error> {
    let headers = response.headers().get_all(LINK).into_iter();
    let Some(named) = headers.filter_map(|value| value.to_str().ok()).find_map(named_next) else {
        return Ok(None);
    };
    let url = response.url().join(named).ok();
    let url = repository.checked(url, "its list goes on at no address")?;
    match repository.is_own(&url) {
        true => Ok(Some(url)),
        false => {
            let address = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
            Err(Error::Insecure { address, problem: "its list goes on at another registry" })
        }
    }
}

/// The address of a header `Link: <ADDRESS>; rel="next"`, of which one may hold several (RFC 8288).
fn named_next(mut header: &str) -> Option<&str> {
    loop {
        let (_, rest) = header.split_once('<')?;
        let (address, rest) = rest.split_once('>')?;
        let (parameters, others) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        };
        if parameters.split(';').any(is_next) {
            return Some(address);
        }
        header = others;
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
    let index = serde_json::from_slice(&bytes)
        .map_err(|error| repository.answer(200, &doing, &error.to_string()))?;
    is_small(repository, &index, &doing)?;
    Ok(index)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_list_goes_on_is_read() {
        for header in [
            r#"</v2/a/referrers/x?n=2>; rel="next""#,
            "</v2/a/referrers/x?n=2>;rel=next",
            r#"</v2/first>; rel="first", </v2/a/referrers/x?n=2>; title="a"; rel="next", <b>; rel=last"#,
            r#"</v2/a/referrers/x?n=2>; Rel="prefetch NEXT""#,
        ] {
            assert_eq!(named_next(header), Some("/v2/a/referrers/x?n=2"), "{header}");
        }
        for header in ["", "<", "<a", "<a>", r#"<a>; rel="prev""#, r#"<a>; title="next""#] {
            assert_eq!(named_next(header), None, "{header}");
        }
    }
}

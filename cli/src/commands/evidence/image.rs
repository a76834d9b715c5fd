//! An image in a registry, and what is attached to it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use maestro_build::container::credentials::Credentials;
use maestro_build::container::registry::{self, Client, Repository};
use maestro_evidence::dsse::BUNDLE_MEDIA_TYPE;
use maestro_evidence::image::Reference;
use maestro_evidence::key::ring::RING_TYPE;
use maestro_evidence::verify::image::{Attached, BUNDLE_BYTES_MAX, BUNDLES_MAX};
use maestro_schemas::digest::Digest;
use tokio::time::timeout;

use crate::env_vars;
use crate::error::Error;

/// The most that is read of one image, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// For all that is attached to be read.
const READ_MAX: Duration = Duration::from_secs(120);

/// What is shown to registries.
#[derive(Debug, clap::Args)]
pub struct Access {
    /// A Docker config.json with credentials for registries.
    #[arg(long, env = env_vars::REGISTRY_AUTH, value_name = "FILE")]
    registry_auth: Option<PathBuf>,
}

/// An image in a registry: by a tag, by its digest, or by both, of which the digest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    reference: Reference,
    digest: Option<Digest>,
}

/// What is no image in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no image; expected a registry, a repository and a tag or digest")]
pub struct InvalidName(String);

impl FromStr for ImageName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let refuse = || InvalidName(text.chars().take(120).collect());
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|_| refuse())?)),
            None => (text, None),
        };
        Ok(Self { reference: name.parse().map_err(|_| refuse())?, digest })
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digest {
            Some(digest) => {
                write!(f, "{}/{}@{digest}", self.reference.registry, self.reference.repository)
            }
            None => self.reference.fmt(f),
        }
    }
}

/// What is attached to an image.
pub struct Found {
    /// The image's.
    pub digest: Digest,
    /// Statements about it, and whatever else is a bundle.
    pub bundles: Vec<Attached>,
    /// What is said to be a list of keys.
    pub lists: Vec<Vec<u8>>,
}

/// What is done in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Its image is found, and what is attached read.
    Read,
    /// Something is attached.
    Write,
}

/// The repository of an image, and the image's digest.
pub(super) async fn find(
    name: &ImageName,
    access: &Access,
    to: To,
) -> Result<(Repository, Digest), Error> {
    let client = Client::new(Credentials::read(access.registry_auth.as_deref())?)?;
    let repository = match to {
        To::Read => client.reader(&name.reference)?,
        To::Write => client.repository(&name.reference)?,
    };
    let wanted = match name.digest {
        Some(digest) => digest.to_string(),
        None => name.reference.tag.clone(),
    };
    match repository.resolve(&wanted).await? {
        Some(digest) => Ok((repository, digest)),
        None => Err(Error::NotFound {
            what: format!("image {name}"),
            hint: Some("name it as it was pushed, with its tag or its digest".into()),
        }),
    }
}

/// Reads all that is attached to an image. What somebody attached that cannot be read is passed over.
///
/// # Errors
/// Where the image is not there, the registry does not answer, or more is attached than is read.
pub async fn read(name: &ImageName, access: &Access) -> Result<Found, Error> {
    let (repository, digest) = find(name, access, To::Read).await?;
    match timeout(READ_MAX, all(&repository, digest)).await {
        Ok(found) => found,
        Err(_) => Err(too_much(format!("it takes more than {} s", READ_MAX.as_secs()))),
    }
}

async fn all(repository: &Repository, digest: Digest) -> Result<Found, Error> {
    let mut found = Found { digest, bundles: Vec::new(), lists: Vec::new() };
    let (mut seen, mut size) = (BTreeSet::new(), 0);
    for entry in registry::referrers(repository, digest, None).await? {
        let kind = entry.artifact_type.as_deref();
        let is_bundle = kind == Some(BUNDLE_MEDIA_TYPE);
        if !is_bundle && kind != Some(RING_TYPE) {
            continue;
        }
        let bytes = match registry::attached(repository, &entry, BUNDLE_BYTES_MAX).await {
            Ok(bytes) => bytes.to_vec(),
            Err(error) if error.is_transient() || error.is_denial() => return Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, entry = %entry.digest, "it is passed over");
                continue;
            }
        };
        size += bytes.len();
        if size > BYTES_MAX {
            return Err(too_much(format!("more than {BYTES_MAX} bytes")));
        }
        if !seen.insert(Digest::of(&bytes)) {
            continue;
        }
        if !is_bundle {
            found.lists.push(bytes);
        } else if found.bundles.len() < BUNDLES_MAX {
            found.bundles.push(Attached { name: entry.digest.to_string(), bytes });
        } else {
            return Err(too_much(format!("more than {BUNDLES_MAX} bundles")));
        }
    }
    Ok(found)
}

fn too_much(what: String) -> Error {
    Error::service("read all that is attached to the image", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_a_tag_or_by_its_digest() {
        let digest = Digest::of(b"x");
        for (text, shown) in [
            ("ghcr.io/a/b:1.0".to_owned(), "ghcr.io/a/b:1.0".to_owned()),
            ("localhost:5000/a".to_owned(), "localhost:5000/a:latest".to_owned()),
            (format!("ghcr.io/a/b:1.0@{digest}"), format!("ghcr.io/a/b@{digest}")),
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), shown);
        }
        for text in ["last", "dist/app.tar.gz", "ghcr.io/a/b@sha256:12", "run_01989c5e"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}

//! An image in a registry, and what is attached to it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use maestro_build::container::credentials::Credentials;
use maestro_build::container::registry::{self, Client, Repository};
use maestro_evidence::dsse::BUNDLE_MEDIA_TYPE;
use maestro_evidence::image::Reference;
use maestro_evidence::key::ring::RING_TYPE;
use maestro_evidence::verify::image::{Attached, BUNDLES_MAX};
use maestro_schemas::digest::Digest;

use crate::env_vars;
use crate::error::Error;

/// The largest bundle or list that is read, in bytes.
const BYTES_MAX: u64 = 8 << 20;
/// The most lists of keys that are read.
const LISTS_MAX: usize = 50;

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

/// The repository of an image, and the image's digest.
pub(super) async fn find(name: &ImageName, access: &Access) -> Result<(Repository, Digest), Error> {
    let credentials = Credentials::read(access.registry_auth.as_deref())?;
    let repository = Client::new(credentials)?.repository(&name.reference)?;
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

/// Reads all that is attached to an image.
pub async fn read(name: &ImageName, access: &Access) -> Result<Found, Error> {
    let (repository, digest) = find(name, access).await?;
    let mut found = Found { digest, bundles: Vec::new(), lists: Vec::new() };
    for entry in registry::referrers(&repository, digest, None).await? {
        let kind = entry.artifact_type.as_deref();
        if kind == Some(BUNDLE_MEDIA_TYPE) && found.bundles.len() < BUNDLES_MAX {
            let bytes = registry::attached(&repository, &entry, BYTES_MAX).await?.to_vec();
            found.bundles.push(Attached { name: entry.digest.to_string(), bytes });
        } else if kind == Some(RING_TYPE) && found.lists.len() < LISTS_MAX {
            found.lists.push(registry::attached(&repository, &entry, BYTES_MAX).await?.to_vec());
        }
    }
    Ok(found)
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

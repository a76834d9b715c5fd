//! Descriptors, manifests and indexes, as image-spec 1.1 writes them.

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Error;

/// An image's manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of manifests.
pub const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// An image's configuration.
pub const CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.image.config.v1+json";
/// A packed layer.
pub const LAYER_MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// A blob that says nothing: `{}`.
pub const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";

const LAYER_UNPACKED: &str = "application/vnd.oci.image.layer.v1.tar";
/// What Docker writes for the same things.
const DOCKERS: [(&str, &str); 4] = [
    ("application/vnd.docker.distribution.manifest.v2+json", MANIFEST_MEDIA_TYPE),
    ("application/vnd.docker.distribution.manifest.list.v2+json", INDEX_MEDIA_TYPE),
    ("application/vnd.docker.container.image.v1+json", CONFIG_MEDIA_TYPE),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", LAYER_MEDIA_TYPE),
];

/// The tag that an index gives to a manifest.
pub(super) const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// A blob by media type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// What a manifest is about that is no image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// A system that an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The operating system, as `linux`.
    pub os: String,
    /// The processor in Go's words, as `amd64`.
    pub architecture: String,
    /// A kind of the processor, as `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image, or something that goes with one, by its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`MANIFEST_MEDIA_TYPE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it is where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// What it goes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// Manifests in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX_MEDIA_TYPE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Descriptor {
    /// A descriptor of bytes that are at hand.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A descriptor of bytes that lie elsewhere.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        let media_type = media_type.to_owned();
        Self { media_type, digest, size, artifact_type: None, annotations: None, platform: None }
    }

    /// The same with OCI's word for what Docker has a word of its own for.
    pub(super) fn in_oci_words(mut self) -> Self {
        if let Some((_, oci)) = DOCKERS.iter().find(|(docker, _)| *docker == self.media_type) {
            self.media_type = (*oci).to_owned();
        }
        self
    }

    /// Whether it is a layer, and then whether it is packed.
    pub(super) fn packed(&self) -> Option<bool> {
        match self.media_type.as_str() {
            LAYER_MEDIA_TYPE => Some(true),
            LAYER_UNPACKED => Some(false),
            _ => None,
        }
    }
}

impl Index {
    /// An index over manifests.
    pub fn of(manifests: Vec<Descriptor>) -> Self {
        let media_type = Some(INDEX_MEDIA_TYPE.to_owned());
        Self { schema_version: 2, media_type, manifests, annotations: None }
    }
}

impl Manifest {
    /// A manifest of an image.
    pub fn of(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: None,
        }
    }
}

impl Platform {
    /// Linux on a processor.
    pub fn linux(architecture: &str) -> Self {
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// The platform of this very machine.
    pub fn here() -> Self {
        Self::linux(match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "riscv64" => "riscv64",
            other => other,
        })
    }

    /// Reads `os/architecture` or `os/architecture/variant`.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &&str| {
            !word.is_empty()
                && word.len() <= 32
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let words: Vec<&str> = text.split('/').collect();
        let variant = match words.as_slice() {
            [_, _] => None,
            [_, _, variant] => Some((*variant).to_owned()),
            _ => return None,
        };
        let mut words = words.into_iter().filter(is_word);
        let (os, architecture) = (words.next()?.to_owned(), words.next()?.to_owned());
        if variant.is_some() && words.next().is_none() {
            return None;
        }
        Some(Self { os, architecture, variant })
    }
}

/// JSON with sorted keys and no spaces: equal values, equal bytes.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let value = serde_json::to_value(value)
        .map_err(|error| Error::untrue("the image", format!("it has no JSON: {error}")))?;
    Ok(value.to_string().into_bytes())
}

/// Reads JSON of `what`.
pub(super) fn decode<T: for<'de> Deserialize<'de>>(what: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::untrue(what, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_two_or_three_words() {
        let arm = Platform::parse("linux/arm/v7").expect("a platform");
        assert_eq!((arm.architecture.as_str(), arm.variant.as_deref()), ("arm", Some("v7")));
        assert_eq!(Platform::parse("linux/amd64"), Some(Platform::linux("amd64")));
        for text in ["", "linux", "linux/", "/amd64", "linux/amd64/", "a/b/c/d", "Linux/amd64"] {
            assert_eq!(Platform::parse(text), None, "{text}");
        }
    }
}

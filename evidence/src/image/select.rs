//! Which of several images is meant.

use super::Error;
use super::manifest::{Descriptor, Index, Platform};

/// The most manifests that an index may name.
const MANIFESTS_MAX: usize = 1_000;

/// The manifest that an index from elsewhere has for `wanted`, or its only one.
pub fn image_of_index(index: Index, wanted: Option<&Platform>) -> Result<Descriptor, Error> {
    choose(bounded(index, "the index")?, wanted, "the index")
}

/// The index, in OCI's words, if it is not too long.
pub(super) fn bounded(mut index: Index, place: &str) -> Result<Index, Error> {
    if index.manifests.len() > MANIFESTS_MAX {
        return Err(Error::too_large(place, MANIFESTS_MAX as u64, "manifests"));
    }
    index.manifests = index.manifests.into_iter().map(Descriptor::in_oci_words).collect();
    Ok(index)
}

/// The manifest for `wanted`, or the only one. The same image under several tags is one image.
pub(super) fn choose(
    index: Index,
    wanted: Option<&Platform>,
    place: &str,
) -> Result<Descriptor, Error> {
    let fits = |found: &Descriptor| match (wanted, &found.platform) {
        (Some(wanted), Some(platform)) => is_for(platform, wanted),
        // Of what does not say it, the configuration does.
        _ => found.artifact_type.is_none(),
    };
    let mut found: Vec<Descriptor> = index.manifests.into_iter().filter(fits).collect();
    found.dedup_by_key(|descriptor| descriptor.digest);
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => {
            let wanted = wanted.map_or_else(|| "any platform".to_owned(), told);
            Err(Error::untrue(place, format!("it has no image for {wanted}")))
        }
        (Some(_), others) => Err(Error::untrue(
            place,
            format!("it has {} images; say with `platform` which one is meant", others + 1),
        )),
    }
}

/// Whether what runs on one runs on the other.
pub(super) fn is_for(platform: &Platform, wanted: &Platform) -> bool {
    platform.os == wanted.os
        && platform.architecture == wanted.architecture
        && (wanted.variant.is_none() || platform.variant == wanted.variant)
}

/// A platform as authors write it.
pub(super) fn told(platform: &Platform) -> String {
    match &platform.variant {
        Some(variant) => format!("{}/{}/{variant}", platform.os, platform.architecture),
        None => format!("{}/{}", platform.os, platform.architecture),
    }
}

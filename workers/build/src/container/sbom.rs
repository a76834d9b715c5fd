//! What an image is made of, by the lock files and package databases in its layers.

use std::path::Path;

use maestro_kit::evidence::image::{Built, Layout, contents};
use maestro_kit::evidence::sbom::{self, Limits, Made, Sbom, Subject};

use super::plan::Names;
use super::refusal::Refusal;
use crate::error::Error;

/// Describes the image of a layout. It blocks.
pub(super) fn describe(out: &Path, subject: &Subject) -> Result<Sbom, Error> {
    let limits = Limits::default();
    let layout = Layout::open(out).map_err(Refusal::from)?;
    let image = layout.image(None).map_err(Refusal::from)?;
    let files = contents(&layout, &image, sbom::reads, limits.total_bytes_max);
    let files = files.map_err(Refusal::from)?;
    let found = sbom::of_files(subject, files, limits).map_err(Error::Sbom)?;
    match found.sources.is_empty() {
        true => Err(Error::Sbom(sbom::Error::nothing("the image"))),
        false => Ok(found),
    }
}

/// The image as a document names it.
pub(super) fn subject(names: &Names, built: &Built) -> Subject {
    let made = Made { name: names.repository.clone(), digest: built.manifest.digest };
    let version = Some(built.manifest.digest.to_string());
    Subject { version, made: vec![made], ..Subject::image(names.repository.clone()) }
}

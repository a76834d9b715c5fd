//! Base, files and settings to an image.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{Changes, ImageConfig};
use super::layer::{self, Source};
use super::layout::{Image, Layout};
use super::manifest::{
    CONFIG_MEDIA_TYPE, Descriptor, LAYER_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Manifest, Platform,
    encode,
};
use super::root::Root;
use super::{Error, LAYERS_MAX};

/// What an image is made of.
#[derive(Debug, Clone)]
pub struct Recipe<'a> {
    /// What it is put upon.
    pub base: Base<'a>,
    /// What goes into it, by path as [`super::image_path`] gives it.
    pub files: BTreeMap<String, Source>,
    /// What a container starts with.
    pub changes: Changes,
    /// Its names in the layout's index.
    pub tags: Vec<String>,
    /// The time of all files and of the image, in seconds since 1970; 0 and none where absent.
    pub epoch: Option<u64>,
}

/// What an image is put upon.
#[derive(Debug, Clone)]
pub enum Base<'a> {
    /// Nothing.
    Scratch {
        /// Where it runs.
        platform: Platform,
    },
    /// The image of a layout.
    Layout {
        /// Its directory; hostile.
        path: &'a Path,
        /// Which of its images.
        platform: Option<Platform>,
    },
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its manifest; the manifest's digest is the image's.
    pub manifest: Descriptor,
    /// The bytes of all its blobs together.
    pub size: u64,
    /// How many layers it has.
    pub layers: usize,
    /// Where it runs.
    pub platform: Platform,
}

/// Makes an image as a layout at `path`, a directory that is empty or not there. Blocks.
pub fn compose(path: &Path, recipe: &Recipe<'_>) -> Result<Built, Error> {
    let layout = Layout::create(path)?;
    let (mut config, mut layers, root) = begin(&layout, &recipe.base)?;
    if !recipe.files.is_empty() {
        if layers.len() == LAYERS_MAX {
            return Err(Error::too_large("the image", LAYERS_MAX as u64, "layers"));
        }
        let epoch = recipe.epoch.unwrap_or(0);
        let written = layout.put_with(|out| {
            let written = layer::write(out, &recipe.files, &root, epoch)?;
            Ok((written.digest, written))
        })?;
        layers.push(Descriptor::new(LAYER_MEDIA_TYPE, written.digest, written.size));
        config.add_layer(written.diff_id);
    }
    config.apply(&recipe.changes);
    config.created = recipe.epoch.map(rfc3339);
    finish(&layout, recipe, &config, layers)
}

fn begin(layout: &Layout, base: &Base<'_>) -> Result<(ImageConfig, Vec<Descriptor>, Root), Error> {
    match base {
        Base::Scratch { platform } => {
            Ok((ImageConfig::empty(platform.clone()), Vec::new(), Root::default()))
        }
        Base::Layout { path, platform } => {
            let base = Layout::open(path)?;
            let image = base.image(platform.as_ref())?;
            for layer in &image.manifest.layers {
                layout.copy(&base, layer)?;
            }
            // Ours are looked through: nobody can change them meanwhile.
            let root = layout.verify_layers(&image)?;
            let layers = image.manifest.layers.into_iter();
            let plain =
                layers.map(|layer| Descriptor::new(&layer.media_type, layer.digest, layer.size));
            Ok((image.config, plain.collect(), root))
        }
    }
}

fn finish(
    layout: &Layout,
    recipe: &Recipe<'_>,
    config: &ImageConfig,
    layers: Vec<Descriptor>,
) -> Result<Built, Error> {
    let config_blob = layout.put(CONFIG_MEDIA_TYPE, &encode(config)?)?;
    let manifest = Manifest::of(config_blob, layers);
    let descriptor = layout.put(MANIFEST_MEDIA_TYPE, &encode(&manifest)?)?;
    name(layout, &recipe.tags, &Image { descriptor, manifest, config: config.clone() })
}

/// Takes a layout over that a program has made here: reads all of it, and gives its image `tags`.
pub fn adopt(path: &Path, tags: &[String]) -> Result<Built, Error> {
    let layout = Layout::open(path)?;
    let image = layout.verify(None)?;
    name(&layout, tags, &image)
}

/// Writes the index.
fn name(layout: &Layout, tags: &[String], image: &Image) -> Result<Built, Error> {
    let platform = Some(image.config.platform.clone());
    layout.name(&Descriptor { platform, ..image.descriptor.clone() }, tags)?;
    let layers: u64 = image.manifest.layers.iter().map(|layer| layer.size).sum();
    Ok(Built {
        size: layers + image.manifest.config.size + image.descriptor.size,
        manifest: image.descriptor.clone(),
        layers: image.manifest.layers.len(),
        platform: image.config.platform.clone(),
    })
}

/// Seconds since 1970 as RFC 3339 writes them, by the days of the Gregorian calendar.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that a leap day is a year's last.
    let shifted = days + 719_468;
    let (era, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_796_083_199, "2026-11-30T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}

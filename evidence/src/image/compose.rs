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
use crate::moment::Moment;

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
    config.created =
        recipe.epoch.map(|seconds| Moment::from_ms(seconds.saturating_mul(1_000)).to_string());
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

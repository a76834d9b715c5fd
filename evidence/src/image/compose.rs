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
    if recipe.epoch.is_some() || !recipe.files.is_empty() {
        config.created =
            recipe.epoch.map(|seconds| Moment::from_ms(seconds.saturating_mul(1_000)).to_string());
    }
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
///
/// Of a base in a directory buildah tells the path, which differs each time: what names a place
/// below `own` is left away.
pub fn adopt(path: &Path, tags: &[String], own: Option<&Path>) -> Result<Built, Error> {
    let layout = Layout::open(path)?;
    let mut image = layout.verify(None)?;
    if let Some(own) = own {
        forget(&layout, &mut image, &own.to_string_lossy())?;
    }
    name(&layout, tags, &image)
}

fn forget(layout: &Layout, image: &mut Image, own: &str) -> Result<(), Error> {
    let annotations = image.manifest.annotations.as_mut();
    let mut told = annotations.is_some_and(|annotations| {
        let before = annotations.len();
        annotations.retain(|_, value| !value.contains(own));
        annotations.len() < before
    });
    for step in image.config.history.iter_mut().flatten() {
        told |= step.forget(own);
    }
    if !told {
        return Ok(());
    }
    let old = [image.manifest.config.digest, image.descriptor.digest];
    image.manifest.config = layout.put(CONFIG_MEDIA_TYPE, &encode(&image.config)?)?;
    image.descriptor = layout.put(MANIFEST_MEDIA_TYPE, &encode(&image.manifest)?)?;
    let new = [image.manifest.config.digest, image.descriptor.digest];
    old.into_iter().filter(|old| !new.contains(old)).try_for_each(|old| layout.remove(old))
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

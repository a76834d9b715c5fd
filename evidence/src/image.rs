//! Container images without a daemon: an OCI image layout (image-spec 1.1) as a directory.
//!
//! | module | what it does |
//! |---|---|
//! | `manifest`, `config` | descriptors, manifests, indexes; what a container starts with |
//! | `layer` | files to a layer: the same files, the same bytes |
//! | `archive` | a layer of somebody else: every name and size looked at, nothing unpacked |
//! | `root` | what lies where once layers are put on one another |
//! | `layout` | the directory of blobs, and whether all of it is true |
//! | `contents` | some files of an image, as its layers leave them |
//! | `select` | which of several images is meant |
//! | `compose` | base, files and settings to an image |
//! | `pack` | a layout as one file, for other programs |
//! | `reference` | `registry/repository:tag` |
//!
//! No clock, no network, no name of a machine or a user goes into an image, so equal inputs are an
//! equal digest on another day and in another directory. A layout that comes from elsewhere is
//! hostile until it has been read whole: every digest, every size, every name in a layer.

mod archive;
mod compose;
mod config;
mod contents;
mod error;
mod file;
mod hashing;
mod layer;
mod layout;
mod manifest;
mod pack;
mod reference;
mod root;
mod select;

pub use compose::{Base, Built, Recipe, adopt, compose};
pub use config::{Changes, ImageConfig, Process};
pub use contents::contents;
pub use error::Error;
pub use layer::{Source, image_path};
pub use layout::{Image, Layout};
pub use manifest::{
    CONFIG_MEDIA_TYPE, Descriptor, EMPTY_MEDIA_TYPE, INDEX_MEDIA_TYPE, Index, LAYER_MEDIA_TYPE,
    MANIFEST_MEDIA_TYPE, Manifest, Platform, encode,
};
pub use pack::pack;
pub use reference::{InvalidReference, Reference};
pub use select::image_of_index;

/// The most bytes of a manifest, an index or a configuration.
pub const JSON_BYTES_MAX: u64 = 4 << 20;

/// The most layers of an image.
pub const LAYERS_MAX: usize = 127;

/// The most bytes of one layer, packed or unpacked.
pub const LAYER_BYTES_MAX: u64 = 16 << 30;

/// The most bytes of all layers together, unpacked: a few that are packed well name themselves again and again.
pub const IMAGE_BYTES_MAX: u64 = 32 << 30;
/// The most files, links and directories of all layers together.
pub const ENTRIES_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests;

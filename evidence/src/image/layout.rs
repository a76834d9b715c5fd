//! The directory of an image: `oci-layout`, `index.json`, `blobs/sha256/…`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use maestro_schemas::digest::Digest;

use super::archive;
use super::config::ImageConfig;
use super::file::open;
use super::hashing::Hashing;
use super::manifest::{
    CONFIG_MEDIA_TYPE, Descriptor, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE, Manifest,
    Platform, REFERENCE_NAME, decode,
};
use super::root::Root;
use super::select::{bounded, choose, is_for, told};
use super::{Error, IMAGE_BYTES_MAX, JSON_BYTES_MAX, LAYER_BYTES_MAX, LAYERS_MAX};

const MARK: &str = "oci-layout";
const MARK_TEXT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";

/// A directory of blobs by digest. What is read is verified.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

/// An image of a layout, with the words of Docker put into OCI's.
#[derive(Debug, Clone)]
pub struct Image {
    /// The manifest's own descriptor.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
}

impl Layout {
    /// Makes a layout without an image in an empty directory, or one that is not there.
    pub fn create(root: &Path) -> Result<Self, Error> {
        let layout = Self { root: root.to_owned() };
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(Error::file("cannot make", &blobs))?;
        layout.write(MARK, MARK_TEXT)?;
        Ok(layout)
    }

    /// Opens a layout that somebody else made.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let layout = Self { root: root.to_owned() };
        for folder in [root.to_owned(), root.join("blobs"), layout.blobs()] {
            let meta =
                fs::symlink_metadata(&folder).map_err(Error::file("cannot look at", &folder))?;
            if !meta.is_dir() {
                return Err(Error::untrue(folder.display(), "it is no directory"));
            }
        }
        let mark: serde_json::Value = decode(MARK, &layout.small(MARK)?)?;
        match mark.get("imageLayoutVersion").and_then(serde_json::Value::as_str) {
            Some("1.0.0") => Ok(layout),
            other => Err(Error::untrue(MARK, format!("version {other:?}, expected 1.0.0"))),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// What its index names.
    pub fn index(&self) -> Result<Index, Error> {
        let index: Index = decode(INDEX, &self.small(INDEX)?)?;
        bounded(index, INDEX)
    }

    /// Makes an image the layout's only one, under each tag.
    pub fn name(&self, image: &Descriptor, tags: &[String]) -> Result<(), Error> {
        let plain = Descriptor { annotations: None, ..image.clone() };
        let named = |tag: &String| Descriptor {
            annotations: Some(BTreeMap::from([(REFERENCE_NAME.to_owned(), tag.clone())])),
            ..plain.clone()
        };
        let mut names: Vec<Descriptor> = tags.iter().map(named).collect();
        if names.is_empty() {
            names.push(plain);
        }
        self.write_index(&Index::of(names))
    }

    pub(super) fn write_index(&self, index: &Index) -> Result<(), Error> {
        self.write(INDEX, &super::encode(index)?)
    }

    /// Puts a small blob.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, Error> {
        let descriptor = Descriptor::of(media_type, bytes);
        write_anew(&self.blob(descriptor.digest), bytes)?;
        Ok(descriptor)
    }

    /// Puts a blob that `fill` writes and answers with its digest.
    pub(super) fn put_with<T>(
        &self,
        fill: impl FnOnce(&mut BufWriter<File>) -> Result<(Digest, T), Error>,
    ) -> Result<T, Error> {
        let new = self.blobs().join("new");
        let file = anew(&new)?;
        let mut out = BufWriter::new(file);
        let (digest, made) = fill(&mut out)?;
        out.flush().map_err(Error::file("cannot write", &new))?;
        let path = self.blob(digest);
        fs::rename(&new, &path).map_err(Error::file("cannot write", &path))?;
        Ok(made)
    }

    pub(super) fn remove(&self, digest: Digest) -> Result<(), Error> {
        let path = self.blob(digest);
        fs::remove_file(&path).map_err(Error::file("cannot remove", &path))
    }

    /// Copies a blob of another layout, if it is what it says.
    pub(super) fn copy(&self, other: &Self, descriptor: &Descriptor) -> Result<(), Error> {
        let place = format!("blob {}", descriptor.digest);
        self.put_with(|out| {
            let mut source = Hashing::new(other.open_blob(descriptor)?);
            io::copy(&mut source, out)
                .map_err(|error| Error::untrue(&place, format!("it cannot be read: {error}")))?;
            let (_, digest, size) = source.finish();
            true_to(descriptor, &place, digest, size)?;
            Ok((digest, ()))
        })
    }

    /// Opens a blob whose size is right; its digest is for the reader to take.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<io::Take<File>, Error> {
        let place = format!("blob {}", descriptor.digest);
        if descriptor.size > LAYER_BYTES_MAX {
            return Err(Error::too_large(place, LAYER_BYTES_MAX, "bytes"));
        }
        let (file, size) = open(&self.blob(descriptor.digest))?;
        if size != descriptor.size {
            let problem = format!("it has {size} bytes, expected {}", descriptor.size);
            return Err(Error::untrue(place, problem));
        }
        Ok(file.take(size))
    }

    /// Where a blob lies.
    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.to_hex())
    }

    /// Reads a manifest, an index or a configuration, and verifies it.
    pub fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        let place = format!("blob {}", descriptor.digest);
        if descriptor.size > JSON_BYTES_MAX {
            return Err(Error::too_large(place, JSON_BYTES_MAX, "bytes"));
        }
        let mut bytes = Vec::new();
        self.open_blob(descriptor)?
            .read_to_end(&mut bytes)
            .map_err(|error| Error::untrue(&place, format!("it cannot be read: {error}")))?;
        true_to(descriptor, &place, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(bytes)
    }

    /// The image for `wanted`, or the only one. Manifest and configuration are verified, layers are
    /// not yet.
    pub fn image(&self, wanted: Option<&Platform>) -> Result<Image, Error> {
        let mut found = choose(self.index()?, wanted, INDEX)?;
        if found.media_type == INDEX_MEDIA_TYPE {
            let place = format!("index {}", found.digest);
            let index = bounded(decode(&place, &self.read(&found)?)?, &place)?;
            found = choose(index, wanted, &place)?;
        }
        let image = self.image_of(found)?;
        match wanted {
            Some(wanted) if !is_for(&image.config.platform, wanted) => Err(Error::untrue(
                format!("image {}", image.descriptor.digest),
                format!("it is for {}, expected {}", told(&image.config.platform), told(wanted)),
            )),
            _ => Ok(image),
        }
    }

    fn image_of(&self, descriptor: Descriptor) -> Result<Image, Error> {
        let place = format!("manifest {}", descriptor.digest);
        if descriptor.media_type != MANIFEST_MEDIA_TYPE {
            let problem = format!("{:?} is no image's media type", descriptor.media_type);
            return Err(Error::untrue(place, problem));
        }
        let mut manifest: Manifest = decode(&place, &self.read(&descriptor)?)?;
        if manifest.layers.len() > LAYERS_MAX {
            return Err(Error::too_large(place, LAYERS_MAX as u64, "layers"));
        }
        manifest.config = manifest.config.in_oci_words();
        manifest.layers = manifest.layers.into_iter().map(Descriptor::in_oci_words).collect();
        if manifest.config.media_type != CONFIG_MEDIA_TYPE {
            let problem = format!("its configuration is {:?}", manifest.config.media_type);
            return Err(Error::untrue(place, problem));
        }
        let what = format!("configuration {}", manifest.config.digest);
        let config: ImageConfig = decode(&what, &self.read(&manifest.config)?)?;
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(Error::untrue(what, "it names another number of layers than the manifest"));
        }
        Ok(Image { descriptor, manifest, config })
    }

    /// Reads an image's layers to their end: digests, sizes, unpacked digests and names are true.
    pub(super) fn verify_layers(&self, image: &Image) -> Result<Root, Error> {
        self.verify_layers_within(image, IMAGE_BYTES_MAX)
    }

    /// The same, where they have no more than `most` bytes together, unpacked.
    pub(super) fn verify_layers_within(&self, image: &Image, most: u64) -> Result<Root, Error> {
        let (mut root, mut left) = (Root::default(), most);
        for (layer, diff_id) in image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids) {
            let place = format!("layer {}", layer.digest);
            let packed = is_packed(layer)?;
            let mut bytes = Hashing::new(self.open_blob(layer)?);
            let fits = LAYER_BYTES_MAX.min(left);
            let scanned = archive::scan(&place, &mut bytes, (packed, fits), &mut root);
            let (unpacked, size) = scanned.map_err(|error| match error {
                Error::TooLarge { unit: "bytes unpacked", .. } if fits < LAYER_BYTES_MAX => {
                    Error::too_large("the image", most, "bytes unpacked")
                }
                error => error,
            })?;
            left = left.saturating_sub(size);
            io::copy(&mut bytes, &mut io::sink())
                .map_err(|error| Error::untrue(&place, format!("it cannot be read: {error}")))?;
            let (_, digest, size) = bytes.finish();
            true_to(layer, &place, digest, size)?;
            if unpacked != *diff_id {
                let problem =
                    format!("unpacked it is {unpacked}, its configuration says {diff_id}");
                return Err(Error::untrue(place, problem));
            }
        }
        Ok(root)
    }

    /// Reads the whole of the image for `wanted`, or of the only one; every byte is true after that.
    pub fn verify(&self, wanted: Option<&Platform>) -> Result<Image, Error> {
        let image = self.image(wanted)?;
        self.verify_layers(&image)?;
        Ok(image)
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs").join("sha256")
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        write_anew(&self.root.join(name), bytes)
    }

    fn small(&self, name: &str) -> Result<Vec<u8>, Error> {
        let path = self.root.join(name);
        let (file, size) = open(&path)?;
        if size > JSON_BYTES_MAX {
            return Err(Error::too_large(name, JSON_BYTES_MAX, "bytes"));
        }
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).map_err(Error::file("cannot read", &path))?;
        Ok(bytes)
    }
}

/// A new file in the place of what is there. Whoever made a layout may have put a link where it is written on.
fn anew(path: &Path) -> Result<File, Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::file("cannot replace", path)(error));
        }
        _ => {}
    }
    File::create_new(path).map_err(Error::file("cannot write", path))
}

fn write_anew(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    anew(path)?.write_all(bytes).map_err(Error::file("cannot write", path))
}

/// Whether a layer is packed with gzip.
pub(super) fn is_packed(layer: &Descriptor) -> Result<bool, Error> {
    layer.packed().ok_or_else(|| {
        let problem = format!(
            "media type {:?} is not taken; expected a tar archive, plain or with gzip",
            layer.media_type
        );
        Error::untrue(format!("layer {}", layer.digest), problem)
    })
}

fn true_to(wanted: &Descriptor, place: &str, digest: Digest, size: u64) -> Result<(), Error> {
    if (digest, size) == (wanted.digest, wanted.size) {
        return Ok(());
    }
    Err(Error::untrue(place, format!("its bytes are {digest} of {size} bytes")))
}

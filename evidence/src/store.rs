//! Objects by SHA-256, in a local directory or a bucket.
//!
//! An object lies at `sha256/ab/abcdef…`, the two digits being the first of its digest. It appears
//! whole or not at all; equal bytes are one object. What is read is verified, and an object that
//! does not verify is removed, so that whoever makes it again can put it back. An object that is
//! found already there and has used up half of [`KEPT`] is written again, so that none is
//! collected between the moment somebody relied on it and the commit that names it.

mod error;
pub mod log;
mod memory;
mod read;
mod staging;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use maestro_schemas::digest::Digest;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::{ObjectStore, ObjectStoreExt};

pub use error::Error;
pub use read::Reader;
pub use write::Writer;

/// How long an object that nothing names is kept: longer than any attempt may take.
pub const KEPT: Duration = Duration::from_secs(3 * 24 * 3600);

/// The largest object, in bytes, unless [`ArtifactStore::with_object_bytes_max`] says otherwise.
pub const OBJECT_BYTES_MAX: u64 = 16 << 30;

/// How many objects are asked after at once.
const QUERIES_AT_ONCE: usize = 16;

/// Where bytes are kept. Cheap to clone; all clones are one store.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    /// The same place, answering only once the bytes are on the disk.
    durable: Arc<dyn ObjectStore>,
    /// The directory, where the store is one.
    root: Option<Arc<PathBuf>>,
    object_bytes_max: u64,
}

/// What was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stored {
    /// The SHA-256 of the bytes.
    pub digest: Digest,
    /// The number of bytes.
    pub size: u64,
}

/// An object that is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// What it is named by; not verified.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// When it was last written.
    pub written_at: SystemTime,
}

impl ArtifactStore {
    /// A store in a directory, which is made if it is not there.
    ///
    /// Bytes survive the death of every process at once, and a power cut only where they were put
    /// with [`ArtifactStore::put_durable`]: a lost artifact is made again, a lost plan is not.
    pub fn local(root: impl AsRef<Path>) -> Result<Self, Error> {
        let root = root.as_ref();
        std::fs::create_dir_all(root)
            .map_err(|source| Error::file("cannot make the directory", root, source))?;
        let open = || {
            LocalFileSystem::new_with_prefix(root)
                .map_err(|source| Error::storage("opening the artifact directory", source))
        };
        Ok(Self {
            objects: Arc::new(open()?),
            durable: Arc::new(open()?.with_fsync(true)),
            root: Some(Arc::new(root.to_owned())),
            object_bytes_max: OBJECT_BYTES_MAX,
        })
    }

    /// A store by its address: a directory, `file:///…`, or, where the feature `s3` is built in,
    /// `s3://bucket/prefix` with credentials and region from the usual `AWS_…` variables.
    ///
    /// For a bucket, the process must have installed its default TLS provider (`rustls`) before. A
    /// bucket should have a rule that ends abandoned uploads, which a killed process leaves.
    pub fn open(address: &str) -> Result<Self, Error> {
        match address.split_once("://") {
            None => Self::local(address),
            Some(("file", path)) => Self::local(path),
            #[cfg(feature = "s3")]
            Some(("s3", rest)) => Self::bucket(address, rest),
            Some((scheme, _)) => Err(Error::Address { scheme: scheme.chars().take(32).collect() }),
        }
    }

    #[cfg(feature = "s3")]
    fn bucket(address: &str, rest: &str) -> Result<Self, Error> {
        let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
        let objects = object_store::aws::AmazonS3Builder::from_env()
            .with_url(address)
            .build()
            .map_err(|source| Error::storage("opening the bucket", source))?;
        Ok(Self::over(Arc::new(object_store::prefix::PrefixStore::new(objects, prefix))))
    }

    /// A store over any object storage; what it confirms counts as durable.
    pub fn over(objects: Arc<dyn ObjectStore>) -> Self {
        Self { durable: objects.clone(), objects, root: None, object_bytes_max: OBJECT_BYTES_MAX }
    }

    /// The same store, refusing to write an object of more bytes than this.
    pub fn with_object_bytes_max(mut self, bytes: u64) -> Self {
        self.object_bytes_max = bytes;
        self
    }

    /// Whether the object is there; its bytes are not looked at.
    pub async fn exists(&self, digest: Digest) -> Result<bool, Error> {
        Ok(self.object(digest).await?.is_some())
    }

    /// The object as the store lists it, if it is there.
    pub async fn object(&self, digest: Digest) -> Result<Option<Object>, Error> {
        match self.objects.head(&location(digest)).await {
            Ok(meta) => Ok(Some(Object {
                digest,
                size: meta.size,
                written_at: SystemTime::from(meta.last_modified),
            })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(Error::storage(format!("asking for object {digest}"), source)),
        }
    }

    /// Those of `digests` that are not there, in their order.
    pub async fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        futures::stream::iter(digests.iter().copied())
            .map(|digest| async move { Ok((digest, self.exists(digest).await?)) })
            .buffered(QUERIES_AT_ONCE)
            .try_filter_map(|(digest, there)| async move { Ok((!there).then_some(digest)) })
            .try_collect()
            .await
    }

    /// Removes an object; one that is not there is fine.
    pub async fn delete(&self, digest: Digest) -> Result<(), Error> {
        match self.objects.delete(&location(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(Error::storage(format!("deleting object {digest}"), source)),
        }
    }

    /// Every object of the store, in no order.
    pub fn list(&self) -> impl Stream<Item = Result<Object, Error>> + Send {
        self.objects
            .list(Some(&Location::from("sha256")))
            .map_err(|source| Error::storage("listing objects", source))
            .try_filter_map(|meta| async move {
                Ok(digest_at(&meta.location).map(|digest| Object {
                    digest,
                    size: meta.size,
                    written_at: SystemTime::from(meta.last_modified),
                }))
            })
    }

    /// Puts bytes that are in memory.
    pub async fn put(&self, bytes: impl Into<Bytes>) -> Result<Stored, Error> {
        let mut writer = self.writer();
        writer.write(bytes.into()).await?;
        writer.finish().await
    }
}

fn location(digest: Digest) -> Location {
    let hex = digest.to_hex();
    let first: String = hex.chars().take(2).collect();
    Location::from_iter(["sha256", &first, &hex])
}

fn digest_at(location: &Location) -> Option<Digest> {
    let hex = location.filename()?;
    format!("sha256:{hex}").parse().ok()
}

#[cfg(test)]
mod tests;

//! Reading an object: its digest is taken anew, and bytes that do not match are not handed out as
//! the object.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt};
use maestro_schemas::digest::Digest;
use object_store::{GetResult, GetResultPayload, ObjectStoreExt};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::{ArtifactStore, Error, location};

const COPY_BYTES: usize = 1 << 20;
const STREAM_BYTES: usize = 256 << 10;

/// An object being read.
pub struct Reader {
    /// The number of bytes that the store lists for it.
    pub size: u64,
    digest: Digest,
    store: ArtifactStore,
    bytes: BoxStream<'static, Result<Bytes, Error>>,
}

impl ArtifactStore {
    /// The object's bytes, verified; refused beforehand where they are more than `limit`.
    pub async fn get(&self, digest: Digest, limit: u64) -> Result<Bytes, Error> {
        let found = self.find(digest).await?;
        if found.meta.size > limit {
            return Err(Error::TooLarge { limit });
        }
        let bytes = found
            .bytes()
            .await
            .map_err(|source| Error::storage(format!("reading object {digest}"), source))?;
        let hashed = bytes.clone();
        let actual = tokio::task::spawn_blocking(move || Digest::of(&hashed))
            .await
            .map_err(|_| Error::ShuttingDown)?;
        self.verify(digest, actual).await?;
        Ok(bytes)
    }

    /// Begins to read an object of any size.
    pub async fn reader(&self, digest: Digest) -> Result<Reader, Error> {
        let found = self.find(digest).await?;
        Ok(Reader {
            size: found.meta.size,
            digest,
            store: self.clone(),
            bytes: bytes_of(found, digest),
        })
    }

    /// Writes the object to a file that must not exist yet, verified, and returns its size.
    ///
    /// Where it fails, no file is left.
    pub async fn get_to_file(&self, digest: Digest, path: &Path) -> Result<u64, Error> {
        let found = self.find(digest).await?;
        let size = found.meta.size;
        let written = match found.payload {
            GetResultPayload::File(file, _) => copy_file(file, path.to_owned()).await,
            GetResultPayload::Stream(_) => copy_stream(bytes_of(found, digest), path).await,
        };
        let verified = match written {
            Ok(actual) => self.verify(digest, actual).await,
            // Somebody else's file, which must stay.
            Err(Error::File { source, .. })
                if source.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                return Err(Error::file("the file exists already", path, source));
            }
            Err(error) => Err(error),
        };
        if let Err(error) = verified {
            // The first error says more than one about the removal would.
            let _ = tokio::fs::remove_file(path).await;
            return Err(error);
        }
        Ok(size)
    }

    async fn find(&self, digest: Digest) -> Result<GetResult, Error> {
        match self.objects.get(&location(digest)).await {
            Ok(found) => Ok(found),
            Err(object_store::Error::NotFound { .. }) => Err(Error::Missing(digest)),
            Err(source) => Err(Error::storage(format!("reading object {digest}"), source)),
        }
    }

    /// Removes what does not verify, so that the bytes can be put again by whoever makes them.
    async fn verify(&self, wanted: Digest, found: Digest) -> Result<(), Error> {
        if wanted == found {
            return Ok(());
        }
        tracing::warn!(%wanted, %found, "an object does not verify and is removed");
        self.delete(wanted).await?;
        Err(Error::Corrupt { wanted, found })
    }
}

impl Reader {
    /// The bytes; the last item is an error where they turn out not to be the object.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let Self { digest, store, bytes, .. } = self;
        let state = Some((bytes, Sha256::new(), store));
        futures::stream::try_unfold(state, move |state| async move {
            let Some((mut bytes, mut hasher, store)) = state else {
                return Ok(None);
            };
            if let Some(chunk) = bytes.try_next().await? {
                hasher.update(&chunk);
                return Ok(Some((chunk, Some((bytes, hasher, store)))));
            }
            let found = Digest::from_bytes(hasher.finalize().into());
            store.verify(digest, found).await?;
            Ok(None)
        })
    }
}

fn bytes_of(found: GetResult, digest: Digest) -> BoxStream<'static, Result<Bytes, Error>> {
    match found.payload {
        GetResultPayload::File(file, path) => {
            ReaderStream::with_capacity(tokio::fs::File::from_std(file), STREAM_BYTES)
                .map_err(move |source| Error::file("cannot read the object", &path, source))
                .boxed()
        }
        GetResultPayload::Stream(stream) => stream
            .map_err(move |source| Error::storage(format!("reading object {digest}"), source))
            .boxed(),
    }
}

async fn copy_file(mut from: File, path: PathBuf) -> Result<Digest, Error> {
    let copy = move || {
        let failed = |source| Error::file("cannot write the file", &path, source);
        let mut into =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
        let mut hasher = Sha256::new();
        let length = from.metadata().map_or(COPY_BYTES as u64, |meta| meta.len());
        let capacity = usize::try_from(length).unwrap_or(COPY_BYTES) + 1;
        let mut buffer = vec![0; capacity.min(COPY_BYTES)];
        loop {
            let count = from.read(&mut buffer).map_err(failed)?;
            let Some(chunk) = buffer.get(..count).filter(|chunk| !chunk.is_empty()) else {
                return Ok(Digest::from_bytes(hasher.finalize().into()));
            };
            hasher.update(chunk);
            into.write_all(chunk).map_err(failed)?;
        }
    };
    tokio::task::spawn_blocking(copy).await.map_err(|_| Error::ShuttingDown)?
}

async fn copy_stream(
    mut bytes: BoxStream<'static, Result<Bytes, Error>>,
    path: &Path,
) -> Result<Digest, Error> {
    let failed = |source| Error::file("cannot write the file", path, source);
    let mut into = tokio::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .await
        .map_err(failed)?;
    let mut hasher = Sha256::new();
    while let Some(chunk) = bytes.try_next().await? {
        hasher.update(&chunk);
        into.write_all(&chunk).await.map_err(failed)?;
    }
    into.flush().await.map_err(failed)?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

//! Writing an object: hashed while it is written, in its place only when it is whole.

use std::fs::File;
use std::io::{Read, Take};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use maestro_schemas::digest::Digest;
use nix::fcntl::OFlag;
use object_store::path::Path as Location;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use super::staging::staged_location;
use super::{ArtifactStore, Error, KEPT, Stored, location};

/// What is kept in memory before it goes to storage; S3 takes no part below 5 MiB but the last.
const PART_BYTES: usize = 8 << 20;

/// What is hashed where it stands; more goes to a thread of its own.
const INLINE_HASH_BYTES: usize = 64 << 10;

/// An object in the making.
///
/// Holds at most three parts of 8 MiB: one being filled, one being hashed and written. What is not
/// finished never becomes an object.
pub struct Writer {
    store: ArtifactStore,
    buffer: BytesMut,
    size: u64,
    hasher: Option<Sha256>,
    /// The part before, being hashed and written.
    pending: Option<JoinHandle<Result<Sha256, Error>>>,
    staged: Option<Staged>,
}

struct Staged {
    at: Location,
    upload: Box<dyn MultipartUpload>,
}

impl ArtifactStore {
    /// Begins an object of unknown length.
    pub fn writer(&self) -> Writer {
        Writer {
            store: self.clone(),
            buffer: BytesMut::new(),
            size: 0,
            hasher: Some(Sha256::new()),
            pending: None,
            staged: None,
        }
    }

    /// Puts what a stream yields, in bounded memory.
    pub async fn put_stream<S>(&self, mut stream: S) -> Result<Stored, Error>
    where
        S: Stream<Item = std::io::Result<Bytes>> + Unpin + Send,
    {
        let mut writer = self.writer();
        while let Some(bytes) = stream.next().await {
            writer.write(bytes.map_err(Error::Source)?).await?;
        }
        writer.finish().await
    }

    /// Puts a file's bytes as they are read, in bounded memory. A symbolic link is not followed.
    pub async fn put_file(&self, path: &Path) -> Result<Stored, Error> {
        let mut source = open_file(path.to_owned()).await?;
        let mut writer = self.writer();
        loop {
            let (rest, part) = read_part(source, path.to_owned()).await?;
            source = rest;
            let last = part.len() < PART_BYTES;
            writer.write(part).await?;
            if last {
                return writer.finish().await;
            }
        }
    }

    /// Puts bytes so that they survive a power cut: for what cannot be made again, as plans.
    pub async fn put_durable(&self, bytes: impl Into<Bytes>) -> Result<Stored, Error> {
        let bytes = bytes.into();
        self.check_size(bytes.len() as u64)?;
        let stored = Stored { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        self.durable
            .put(&location(stored.digest), PutPayload::from_bytes(bytes))
            .await
            .map_err(|source| Error::storage("storing an object", source))?;
        Ok(stored)
    }

    /// Whether the object is there, whole by its size, and young enough to be relied on.
    async fn is_fresh(&self, stored: Stored) -> Result<bool, Error> {
        Ok(self.object(stored.digest).await?.is_some_and(|object| {
            let age = SystemTime::now().duration_since(object.written_at).unwrap_or_default();
            object.size == stored.size && age < KEPT / 2
        }))
    }

    fn check_size(&self, size: u64) -> Result<(), Error> {
        if size > self.object_bytes_max {
            return Err(Error::TooLarge { limit: self.object_bytes_max });
        }
        Ok(())
    }
}

impl Writer {
    /// Appends bytes; waits while two parts are on their way.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        self.store.check_size(self.size)?;
        if self.buffer.is_empty() && bytes.len() == PART_BYTES {
            return self.send(bytes).await;
        }
        while self.buffer.len() + bytes.len() >= PART_BYTES {
            let room = PART_BYTES - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(room));
            let part = std::mem::take(&mut self.buffer).freeze();
            self.send(part).await?;
        }
        self.buffer.extend_from_slice(&bytes);
        Ok(())
    }

    /// The number of bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the object in its place; where it is already there, nothing changes.
    pub async fn finish(mut self) -> Result<Stored, Error> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        if self.staged.is_some() {
            if !rest.is_empty() {
                self.send(rest).await?;
            }
            return self.finish_staged().await;
        }
        let stored = Stored { digest: digest_of(&rest).await?, size: self.size };
        if !self.store.is_fresh(stored).await? {
            self.store
                .objects
                .put(&location(stored.digest), PutPayload::from_bytes(rest))
                .await
                .map_err(|source| Error::storage("storing an object", source))?;
        }
        Ok(stored)
    }

    async fn finish_staged(mut self) -> Result<Stored, Error> {
        self.settle().await?;
        let hasher = self.hasher.take().ok_or(Error::ShuttingDown)?;
        let stored =
            Stored { digest: Digest::from_bytes(hasher.finalize().into()), size: self.size };
        let mut staged = self.staged.take().ok_or(Error::ShuttingDown)?;
        let failed = |source| Error::storage("storing an object", source);
        if self.store.is_fresh(stored).await? {
            staged.upload.abort().await.map_err(failed)?;
            return Ok(stored);
        }
        staged.upload.complete().await.map_err(failed)?;
        self.store.objects.rename(&staged.at, &location(stored.digest)).await.map_err(failed)?;
        Ok(stored)
    }

    /// Hashes and uploads a part in the background, once the part before is through.
    async fn send(&mut self, part: Bytes) -> Result<(), Error> {
        self.settle().await?;
        let mut hasher = self.hasher.take().ok_or(Error::ShuttingDown)?;
        let staged = match &mut self.staged {
            Some(staged) => staged,
            None => self.staged.insert(Staged::begin(&self.store).await?),
        };
        let uploading = staged.upload.put_part(PutPayload::from_bytes(part.clone()));
        self.pending = Some(tokio::spawn(async move {
            let hashing = tokio::task::spawn_blocking(move || {
                hasher.update(&part);
                hasher
            });
            let (hasher, uploaded) = futures::join!(hashing, uploading);
            uploaded.map_err(|source| Error::storage("storing an object", source))?;
            hasher.map_err(|_| Error::ShuttingDown)
        }));
        Ok(())
    }

    /// Waits for the part before. What failed is cleared away at once: on a full disk, it takes up
    /// the room that others need.
    async fn settle(&mut self) -> Result<(), Error> {
        let Some(pending) = self.pending.take() else {
            return Ok(());
        };
        match pending.await.unwrap_or(Err(Error::ShuttingDown)) {
            Ok(hasher) => {
                self.hasher = Some(hasher);
                Ok(())
            }
            Err(error) => {
                if let Some(mut staged) = self.staged.take() {
                    // The first error says more than one about the clearing would.
                    let _ = staged.upload.abort().await;
                }
                Err(error)
            }
        }
    }
}

impl Staged {
    async fn begin(store: &ArtifactStore) -> Result<Self, Error> {
        let at = staged_location();
        let upload = store
            .objects
            .put_multipart(&at)
            .await
            .map_err(|source| Error::storage("storing an object", source))?;
        Ok(Self { at, upload })
    }
}

async fn digest_of(bytes: &Bytes) -> Result<Digest, Error> {
    if bytes.len() <= INLINE_HASH_BYTES {
        return Ok(Digest::of(bytes));
    }
    let bytes = bytes.clone();
    tokio::task::spawn_blocking(move || Digest::of(&bytes)).await.map_err(|_| Error::ShuttingDown)
}

async fn open_file(path: PathBuf) -> Result<File, Error> {
    let open = move || {
        // A link that was put here since the caller looked, or a pipe without a writer, must
        // neither lead elsewhere nor hang.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let open = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits())
            .open(&path)
            .and_then(|file| Ok((file.metadata()?.is_file(), file)));
        match open {
            Ok((true, file)) => Ok(file),
            Ok((false, _)) => Err(Error::file(
                "this is no plain file",
                &path,
                std::io::ErrorKind::InvalidInput.into(),
            )),
            Err(source) => Err(Error::file("cannot read the file", &path, source)),
        }
    };
    tokio::task::spawn_blocking(open).await.map_err(|_| Error::ShuttingDown)?
}

async fn read_part(file: File, path: PathBuf) -> Result<(File, Bytes), Error> {
    let read = move || {
        let hint = file.metadata().map_or(0, |meta| meta.len());
        let mut part = Vec::with_capacity(PART_BYTES.min(usize::try_from(hint).unwrap_or(0) + 1));
        let mut source: Take<File> = file.take(PART_BYTES as u64);
        match source.read_to_end(&mut part) {
            Ok(_) => Ok((source.into_inner(), Bytes::from(part))),
            Err(error) => Err(Error::file("cannot read the file", &path, error)),
        }
    };
    tokio::task::spawn_blocking(read).await.map_err(|_| Error::ShuttingDown)?
}

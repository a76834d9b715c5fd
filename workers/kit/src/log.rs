//! An execution's output: streamed in numbered pieces to whoever looks on, and kept whole as an
//! artifact.
//!
//! Nothing is made until the first byte is written. The live pieces may be lost; the artifact
//! holds every byte up to [`STORED_BYTES_MAX`]. Both without the execution's secrets ([`crate::redact`]).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use maestro_evidence::store::{ArtifactStore, Writer};
use maestro_schemas::artifact::{Artifact, LOG_ROLE};
use maestro_schemas::codec;
use maestro_schemas::control::LogChunk;
use maestro_streams::Subject;
use maestro_streams::connect::Connection;
use maestro_streams::topology::subject::{self, LogAddress};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::redact::{self, Redactor};

/// The most bytes of a log that are kept; what is beyond is cut, and the log says so.
pub const STORED_BYTES_MAX: u64 = 256 << 20;
/// The most bytes in a live piece.
pub const CHUNK_BYTES_MAX: usize = 64 * 1024;
/// The longest that a byte waits for its live piece to fill.
pub const CHUNK_PERIOD: Duration = Duration::from_millis(200);

const QUEUE: usize = 64;
const MEDIA_TYPE: &str = "text/plain; charset=utf-8";
const CUT: &str = "\n[the log is cut here: it is larger than is kept]\n";

/// Where an execution's output goes. Clones write to the same log.
#[derive(Clone)]
pub struct LogSink {
    log: Arc<Log>,
}

struct Log {
    store: ArtifactStore,
    live: Option<Live>,
    redactor: Redactor,
    recorder: OnceLock<mpsc::Sender<Piece>>,
}

/// Where the pieces go.
#[derive(Clone)]
struct Live {
    connection: Connection,
    subject: Subject,
}

enum Piece {
    Bytes(Bytes),
    End(oneshot::Sender<Option<Artifact>>),
}

impl LogSink {
    /// A log that is kept in `store` and streamed over `connection`, without the secrets of `redactor`.
    pub(crate) fn streamed(
        store: ArtifactStore,
        redactor: Redactor,
        connection: Connection,
        address: &LogAddress,
    ) -> Self {
        let live = Live { connection, subject: subject::log(address) };
        Self::new(store, redactor, Some(live))
    }

    /// A log that is only kept; for running a handler without a bus.
    pub fn kept(store: ArtifactStore, redactor: Redactor) -> Self {
        Self::new(store, redactor, None)
    }

    fn new(store: ArtifactStore, redactor: Redactor, live: Option<Live>) -> Self {
        Self { log: Arc::new(Log { store, live, redactor, recorder: OnceLock::new() }) }
    }

    /// Appends bytes, in the order of the calls; waits while the storage lags behind. Never fails:
    /// what the storage refuses is told in the worker's own log.
    pub async fn write(&self, bytes: impl Into<Bytes>) {
        let recorder = self.log.recorder.get_or_init(|| self.log.record());
        if recorder.send(Piece::Bytes(bytes.into())).await.is_err() {
            tracing::debug!("output after the end of its execution is dropped");
        }
    }

    /// Appends a line.
    pub async fn line(&self, text: &str) {
        self.write(format!("{text}\n")).await;
    }

    /// Ends the log; `None` where nothing was written or it could not be kept.
    pub async fn finish(&self) -> Option<Artifact> {
        let recorder = self.log.recorder.get()?;
        let (sender, artifact) = oneshot::channel();
        recorder.send(Piece::End(sender)).await.ok()?;
        artifact.await.ok().flatten()
    }
}

impl Log {
    fn record(&self) -> mpsc::Sender<Piece> {
        let (sender, pieces) = mpsc::channel(QUEUE);
        let kept = Kept { writer: Some(self.store.writer()), bytes: 0 };
        let stream = Stream {
            live: self.live.clone(),
            buffer: BytesMut::new(),
            since: None,
            number: 0,
            offset: 0,
        };
        let out = Out { clean: self.redactor.stream(), kept, stream };
        tokio::spawn(record(pieces, out));
        sender
    }
}

/// The way of every byte: cleaned, then kept, then streamed.
struct Out {
    clean: redact::Stream,
    kept: Kept,
    stream: Stream,
}

impl Out {
    async fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty()
            && let Some(bytes) = self.kept.keep(bytes).await
        {
            self.stream.push(&bytes).await;
        }
    }
}

async fn record(mut pieces: mpsc::Receiver<Piece>, mut out: Out) {
    loop {
        let due = out.stream.since.map(|since| since + CHUNK_PERIOD);
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                out.stream.flush(false).await;
                continue;
            }
        };
        match piece {
            Some(Piece::Bytes(bytes)) => {
                let clean = match out.clean.is_idle() {
                    true => bytes,
                    false => out.clean.push(&bytes).into(),
                };
                out.push(clean).await;
            }
            Some(Piece::End(answer)) => {
                let last = out.clean.finish();
                out.push(last.into()).await;
                out.stream.flush(true).await;
                // Whoever ended the log may have gone.
                let _ = answer.send(out.kept.finish().await);
                return;
            }
            None => return,
        }
    }
}

/// The whole log on its way into the storage.
struct Kept {
    writer: Option<Writer>,
    bytes: u64,
}

impl Kept {
    /// Keeps bytes; answers what is to be streamed: nothing once the log is full.
    async fn keep(&mut self, bytes: Bytes) -> Option<Bytes> {
        if self.bytes >= STORED_BYTES_MAX {
            return None;
        }
        let left = usize::try_from(STORED_BYTES_MAX - self.bytes).unwrap_or(usize::MAX);
        let kept = if bytes.len() > left {
            let mut cut = BytesMut::from(bytes.get(..left).unwrap_or_default());
            cut.extend_from_slice(CUT.as_bytes());
            self.bytes = STORED_BYTES_MAX;
            cut.freeze()
        } else {
            self.bytes += bytes.len() as u64;
            bytes
        };
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(kept.clone()).await
        {
            tracing::warn!(%error, "a log cannot be kept");
            self.writer = None;
        }
        Some(kept)
    }

    async fn finish(self) -> Option<Artifact> {
        match self.writer?.finish().await {
            Ok(stored) => Some(Artifact {
                role: LOG_ROLE.to_owned(),
                digest: stored.digest,
                size: stored.size,
                media_type: MEDIA_TYPE.to_owned(),
            }),
            Err(error) => {
                tracing::warn!(%error, "a log cannot be kept");
                None
            }
        }
    }
}

/// The live pieces of a log.
struct Stream {
    live: Option<Live>,
    buffer: BytesMut,
    /// When the oldest byte of the buffer came.
    since: Option<Instant>,
    number: u64,
    offset: u64,
}

impl Stream {
    async fn push(&mut self, mut bytes: &[u8]) {
        while self.live.is_some() && !bytes.is_empty() {
            let room = CHUNK_BYTES_MAX - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.since.get_or_insert_with(Instant::now);
            if self.buffer.len() >= CHUNK_BYTES_MAX {
                self.flush(false).await;
            }
            bytes = later;
        }
    }

    async fn flush(&mut self, last: bool) {
        self.since = None;
        let Some(live) = &self.live else { return };
        let chunk = LogChunk {
            number: self.number,
            offset: self.offset,
            bytes: std::mem::take(&mut self.buffer).into(),
            last,
        };
        self.number += 1;
        self.offset += chunk.bytes.len() as u64;
        match codec::encode(&chunk) {
            Ok(bytes) => live.connection.tell(live.subject.clone(), bytes.into()).await,
            Err(error) => tracing::warn!(%error, "a piece of a log cannot be sent"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::digest::Digest;

    #[tokio::test]
    async fn what_several_write_is_kept_whole_and_a_silent_log_is_no_artifact() {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        let silent = LogSink::kept(store.clone(), Redactor::default());
        assert_eq!(silent.finish().await, None);
        let log = LogSink::kept(store, Redactor::default());
        log.line("one").await;
        log.clone().write(&b"two"[..]).await;
        let artifact = log.finish().await.unwrap();
        assert_eq!(artifact.digest, Digest::of(b"one\ntwo"));
        assert_eq!((artifact.role.as_str(), artifact.size), ("log", 7));
        log.line("too late").await;
    }

    #[tokio::test]
    async fn a_secret_that_is_written_in_pieces_is_not_kept_and_what_was_held_back_is() {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        let redactor = Redactor::default();
        let log = LogSink::kept(store, redactor.clone());
        log.line("before").await;
        redactor.register([b"hunter2!".as_slice()]).unwrap();
        for piece in ["is hun", "ter", "2! and hunt"] {
            log.write(piece).await;
        }
        let artifact = log.finish().await.unwrap();
        assert_eq!(artifact.digest, Digest::of(b"before\nis *** and hunt"));
    }
}

//! Answers that were paid for, under the digest of what they answer.
//!
//! Unlike an object, such an entry is named by a question and not by its bytes, so its bytes begin
//! with their own digest, which is taken anew on read: what does not verify is not there. It may be
//! written again with other bytes, and it may be lost: whoever asks then pays once more.

use std::time::SystemTime;

use bytes::Bytes;
use futures::TryStreamExt as _;
use maestro_schemas::digest::Digest;
use object_store::path::Path as Location;
use object_store::{ObjectStoreExt, PutPayload};

use super::{ArtifactStore, Error};

/// The most bytes that are remembered under one digest.
pub const MEMORY_BYTES_MAX: usize = 8 << 20;

const FOLDER: &str = "memory";
const DIGEST_BYTES: usize = 32;

impl ArtifactStore {
    /// Remembers an answer; one of more than [`MEMORY_BYTES_MAX`] is not kept.
    pub async fn remember(&self, question: Digest, answer: &[u8]) -> Result<(), Error> {
        if answer.len() > MEMORY_BYTES_MAX {
            return Ok(());
        }
        let mut bytes = Digest::of(answer).as_bytes().to_vec();
        bytes.extend_from_slice(answer);
        self.objects
            .put(&location(question), PutPayload::from(bytes))
            .await
            .map_err(|source| Error::storage("remembering an answer", source))?;
        Ok(())
    }

    /// The answer that was remembered, if it is there and whole.
    pub async fn recall(&self, question: Digest) -> Result<Option<Bytes>, Error> {
        let failed = |source| Error::storage("recalling an answer", source);
        let found = match self.objects.get(&location(question)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let mut digest = found.bytes().await.map_err(failed)?;
        if digest.len() < DIGEST_BYTES {
            return Ok(None);
        }
        let answer = digest.split_off(DIGEST_BYTES);
        Ok((Digest::of(&answer).as_bytes().as_slice() == &*digest).then_some(answer))
    }

    /// Forgets what was remembered before a time; answers how many entries.
    pub async fn forget(&self, before: SystemTime) -> Result<u64, Error> {
        let failed = |source| Error::storage("forgetting answers", source);
        let mut entries = std::pin::pin!(self.objects.list(Some(&Location::from(FOLDER))));
        let mut forgotten = 0;
        while let Some(meta) = entries.try_next().await.map_err(failed)? {
            if SystemTime::from(meta.last_modified) < before {
                self.objects.delete(&meta.location).await.map_err(failed)?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}

fn location(question: Digest) -> Location {
    let hex = question.to_hex();
    let first: String = hex.chars().take(2).collect();
    Location::from_iter([FOLDER, &first, &hex])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_remembered_is_verified_and_forgotten_once_old() {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        let (question, other) = (Digest::of(b"question"), Digest::of(b"other"));
        assert_eq!(store.recall(question).await.unwrap(), None);
        store.remember(question, b"answer").await.unwrap();
        assert_eq!(store.recall(question).await.unwrap().as_deref(), Some(&b"answer"[..]));
        assert_eq!(store.recall(other).await.unwrap(), None);

        let file = directory.path().join(location(question).as_ref());
        std::fs::write(&file, b"not what was remembered, and long enough to have a digest")
            .unwrap();
        assert_eq!(store.recall(question).await.unwrap(), None);

        assert_eq!(store.forget(SystemTime::UNIX_EPOCH).await.unwrap(), 0);
        let later = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(store.forget(later).await.unwrap(), 1);
        assert!(!file.exists());
    }
}

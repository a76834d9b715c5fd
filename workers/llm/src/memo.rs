//! Answers that were paid for already: a redelivered attempt asks nobody twice.

use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::digest::Digest;

use crate::answer::Answer;

/// The answer that a former execution of the attempt got. One that cannot be read is not there:
/// the worst that follows is that it is paid for once more.
pub(crate) async fn recall(store: &ArtifactStore, key: Digest) -> Option<Answer> {
    match store.recall(key).await {
        Ok(found) => serde_json::from_slice(&found?).ok(),
        Err(error) => {
            tracing::warn!(%error, "a model's former answer cannot be looked up");
            None
        }
    }
}

/// Keeps an answer for whoever carries the attempt out next.
pub(crate) async fn remember(store: &ArtifactStore, key: Digest, answer: &Answer) {
    let kept = match serde_json::to_vec(answer) {
        Ok(bytes) => store.remember(key, &bytes).await,
        Err(_) => return,
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "a model's answer cannot be kept for a redelivery");
    }
}

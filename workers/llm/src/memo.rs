//! Answers that were paid for already: a redelivered attempt asks nobody twice, and tells who paid.

use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::digest::Digest;
use maestro_schemas::report::ModelCall;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::attempt::Attempt;

/// An answer, and the call that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// What the model said.
    pub(crate) answer: Answer,
    /// The call as it was settled, with the execution that made it and its place there.
    pub(crate) call: ModelCall,
}

/// The answer that a former execution of the attempt got. One that cannot be read is not there:
/// the worst that follows is that it is paid for once more.
async fn recall(store: &ArtifactStore, key: Digest) -> Option<Memory> {
    match store.recall(key).await {
        Ok(found) => serde_json::from_slice(&found?).ok(),
        Err(error) => {
            tracing::warn!(%error, "a model's former answer cannot be looked up");
            None
        }
    }
}

/// Keeps an answer for whoever carries the attempt out next.
async fn remember(store: &ArtifactStore, key: Digest, memory: &Memory) {
    let kept = match serde_json::to_vec(memory) {
        Ok(bytes) => store.remember(key, &bytes).await,
        Err(_) => return,
    };
    if let Err(error) = kept {
        tracing::warn!(%error, "a model's answer cannot be kept for a redelivery");
    }
}

impl Attempt<'_> {
    /// The answer that a former execution of the attempt got and paid for, where there is one.
    pub(crate) async fn recalled(&self, key: Digest) -> Option<Answer> {
        let Memory { answer, call } = recall(&self.execution.store, key).await?;
        self.execution.log.write(answer.text.clone()).await;
        self.execution.ledger.begin(call);
        Some(answer)
    }

    /// Keeps an answer for a redelivery, with the call that brought it and whose that is.
    pub(crate) async fn remembered(
        &self,
        key: Digest,
        (answer, call): (Answer, ModelCall),
    ) -> Answer {
        let memory = Memory { answer, call };
        remember(&self.execution.store, key, &memory).await;
        memory.answer
    }
}

//! Answers that were paid for already: a redelivered attempt asks nobody twice, and tells who paid.

use std::time::Duration;

use maestro_kit::evidence::store::ArtifactStore;
use maestro_schemas::digest::Digest;
use maestro_schemas::report::ModelCall;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::attempt::Attempt;

/// How long keeping an answer may take: the step's report waits for it.
const KEEPING_MAX: Duration = Duration::from_secs(60);

/// An answer, and the call that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory<T> {
    /// What the model said, or what was made of it.
    pub(crate) answer: T,
    /// The call as it was settled, with the execution that made it and its place there.
    pub(crate) call: ModelCall,
}

/// The answer that a former execution of the attempt got. One that cannot be read is not there:
/// the worst that follows is that it is paid for once more.
async fn recall<T: DeserializeOwned>(store: &ArtifactStore, key: Digest) -> Option<Memory<T>> {
    match store.recall(key).await {
        Ok(found) => serde_json::from_slice(&found?).ok(),
        Err(error) => {
            tracing::warn!(%error, "a model's former answer cannot be looked up");
            None
        }
    }
}

/// Keeps an answer for whoever carries the attempt out next.
async fn remember<T: Serialize>(store: &ArtifactStore, key: Digest, memory: &Memory<T>) {
    let Ok(bytes) = serde_json::to_vec(memory) else { return };
    match tokio::time::timeout(KEEPING_MAX, store.remember(key, &bytes)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "a model's answer cannot be kept for a redelivery");
        }
        Err(_) => tracing::warn!("a model's answer is not kept for a redelivery in time"),
    }
}

impl Attempt<'_> {
    /// What a former execution of the attempt got and paid for, where there is something. The call is in
    /// this execution's books then too, as that one's.
    pub(crate) async fn found<T: DeserializeOwned>(&self, key: Digest) -> Option<T> {
        let Memory { answer, call } = recall(&self.execution.store, key).await?;
        self.execution.ledger.begin(call);
        Some(answer)
    }

    /// The same of an answer in words, which the log tells as it did the first time.
    pub(crate) async fn recalled(&self, key: Digest) -> Option<Answer> {
        let answer: Answer = self.found(key).await?;
        self.execution.log.write(answer.text.clone()).await;
        Some(answer)
    }

    /// Keeps an answer for a redelivery, with the call that brought it and whose that is, and does what else is
    /// to be done then. The step goes on meanwhile; the kit reports nothing of it before that has ended.
    pub(crate) fn remembered<T>(
        &self,
        key: Digest,
        (answer, call): (T, ModelCall),
        then: impl Future<Output = ()> + Send + 'static,
    ) -> T
    where
        T: Clone + Serialize + Send + Sync + 'static,
    {
        let (store, memory) =
            (self.execution.store.clone(), Memory { answer: answer.clone(), call });
        self.execution.beside.spawn(async move {
            tokio::join!(then, remember(&store, key, &memory));
        });
        answer
    }
}

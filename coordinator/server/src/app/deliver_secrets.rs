//! Gives an execution the secrets of its step, sealed to the key that it made.
//!
//! What must stay true: nothing is sealed for whom it is not meant. The attempt lives, it was sent to the
//! pool that asks (the broker holds workers to theirs), and the step of its plan declares exactly what is
//! asked for. Which version was given is noted before it is.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use maestro_evidence::secret::{Zeroizing, envelope, kek, seal};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::secret::{STEP_BYTES_MAX, SealedSecret, SecretRef, SecretsQuestion, USES_MAX};
use tokio::time::timeout;

use super::act;
use super::secrets::{Fault, context, fault};
use super::{App, Error};
use crate::store::secret::{self, Named};
use crate::store::secret_delivery::{self, Live};

/// How long the keys of all secrets of a step may take together; whoever asks waits a second longer.
const KEYS_WITHIN: Duration = Duration::from_secs(4);
/// How many of them are asked for at once.
const AT_ONCE_MAX: usize = 8;

/// A value on its way to being sealed.
struct Plain {
    version: u32,
    value: Zeroizing<Vec<u8>>,
}

impl App {
    /// The secrets of a question, in its order.
    pub async fn deliver_secrets(
        &self,
        pool: &PoolName,
        question: &SecretsQuestion,
    ) -> Result<Vec<SealedSecret>, Error> {
        let live = secret_delivery::live(&self.pool, question).await?;
        let project = permitted(live, pool, question)?;
        let plain = timeout(KEYS_WITHIN, self.plain(&project, question)).await;
        let plain = plain.map_err(|_| away())??;
        let bytes: usize = plain.iter().map(|one| one.value.len()).sum();
        if bytes > STEP_BYTES_MAX {
            return Err(refused(format!(
                "the secrets of the step have more than {STEP_BYTES_MAX} bytes together"
            )));
        }
        let mut transaction = self.begin().await?;
        let mut sealed = Vec::with_capacity(plain.len());
        for (secret, plain) in question.secrets.iter().zip(plain) {
            let version = (&secret.name, plain.version);
            let one = seal::seal(question, version, &plain.value)
                .map_err(|_| refused("the key of the question is none".to_owned()))?;
            secret_delivery::note(&mut *transaction, question, &project, version).await?;
            sealed.push(one);
        }
        act::end(transaction).await?;
        Ok(sealed)
    }

    /// The values of a question, in its order. Keys may be far away: no connection waits for them.
    async fn plain(
        &self,
        project: &ProjectName,
        question: &SecretsQuestion,
    ) -> Result<Vec<Plain>, Error> {
        let kek = self.keyring.get()?;
        let one = |secret: SecretRef| async move {
            let kept = secret::find(&self.pool, project, &secret).await?;
            let kept = kept.ok_or_else(|| Error::Secret(Fault::Missing(secret.clone())))?;
            let about = context(Named { project, name: &secret.name }, kept.version);
            let value = envelope::open(kek, &kept.envelope, &about).await;
            let value = value.map_err(|error| fault(&about, error))?;
            Ok(Plain { version: kept.version, value })
        };
        let all = stream::iter(question.secrets.clone()).map(one);
        all.buffered(AT_ONCE_MAX).try_collect().await
    }
}

/// Whose secrets they are, where the asker may have them.
fn permitted(
    live: Option<Live>,
    pool: &PoolName,
    question: &SecretsQuestion,
) -> Result<ProjectName, Error> {
    let live = live.ok_or_else(|| refused("the attempt does not live any more".to_owned()))?;
    if live.pool != *pool {
        return Err(refused(format!("the attempt was not sent to the pool {pool}")));
    }
    let declared: BTreeSet<&SecretRef> = live.secrets.values().map(|one| &one.secret).collect();
    let asked: BTreeSet<&SecretRef> = question.secrets.iter().collect();
    let is_set = asked.len() == question.secrets.len() && asked.len() <= USES_MAX;
    if declared.is_empty() || declared != asked || !is_set {
        return Err(refused("the step does not declare exactly these secrets".to_owned()));
    }
    Ok(live.project)
}

fn away() -> Error {
    let message = format!("no answer within {} seconds", KEYS_WITHIN.as_secs());
    Error::Secret(Fault::KeysAway(kek::Error::Unavailable { message, transient: true }))
}

fn refused(message: String) -> Error {
    Error::Secret(Fault::Undeclared(message))
}

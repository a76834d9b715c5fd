//! Gives an execution the secrets of its step, sealed to the key that it made.
//!
//! What must stay true: nothing is sealed for whom it is not meant. The attempt lives, it was sent to the
//! pool that asks (the broker holds workers to theirs), and the step of its plan declares exactly what is
//! asked for. Which version was given is noted before it is.

use std::collections::BTreeSet;

use maestro_evidence::secret::{Zeroizing, envelope, seal};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::secret::{STEP_BYTES_MAX, SealedSecret, SecretRef, SecretsQuestion, USES_MAX};
use sqlx::PgConnection;

use super::act;
use super::secrets::{Fault, context};
use super::{App, Error};
use crate::store::secret::{self, Named};
use crate::store::secret_delivery::{self, Live};

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
        let mut transaction = self.begin().await?;
        let (mut sealed, mut bytes) = (Vec::new(), 0);
        for secret in &question.secrets {
            let plain = self.plain(&mut transaction, &project, secret).await?;
            bytes += plain.value.len();
            if bytes > STEP_BYTES_MAX {
                return Err(refused(format!(
                    "the secrets of the step have more than {STEP_BYTES_MAX} bytes together"
                )));
            }
            let version = (&secret.name, plain.version);
            let one = seal::seal(question, version, &plain.value)
                .map_err(|_| refused("the key of the question is none".to_owned()))?;
            secret_delivery::note(&mut *transaction, question, &project, version).await?;
            sealed.push(one);
        }
        act::end(transaction).await?;
        Ok(sealed)
    }

    async fn plain(
        &self,
        transaction: &mut PgConnection,
        project: &ProjectName,
        secret: &SecretRef,
    ) -> Result<Plain, Error> {
        let kept = secret::find(transaction, project, secret).await?;
        let kept = kept.ok_or_else(|| Error::Secret(Fault::Missing(secret.clone())))?;
        let named = Named { project, name: &secret.name };
        let about = context(named, kept.version);
        let value = envelope::open(self.keyring.get()?, &kept.envelope, &about).await?;
        Ok(Plain { version: kept.version, value })
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

fn refused(message: String) -> Error {
    Error::Secret(Fault::Undeclared(message))
}

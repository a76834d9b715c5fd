//! A key that wraps data keys and never leaves AWS KMS: the spec `SYMMETRIC_DEFAULT`.
//!
//! A data key passes through the buffers of the HTTP client, which are not wiped.
//!
//! Whose data key it is goes along as the encryption context, which the service authenticates and
//! writes into its own log.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

use super::arn::KeyArn;
use super::{Fault, FaultKind, Kms};
use crate::secret::kek::{Answer, Context, DataKey, Error, Kek, Wrapped};

/// A key-encryption key in the service.
#[derive(Debug)]
pub struct KmsKek {
    kms: Kms,
    arn: KeyArn,
}

#[derive(Deserialize)]
struct Encrypted {
    #[serde(rename = "CiphertextBlob")]
    bytes: String,
}

#[derive(Deserialize)]
struct Decrypted {
    #[serde(rename = "Plaintext")]
    key: String,
}

impl KmsKek {
    /// The key of this name; nothing is asked yet.
    ///
    /// # Errors
    /// Where there can be no credentials.
    pub fn of(arn: KeyArn) -> Result<Self, Error> {
        let kms = Kms::of(&arn).map_err(|fault| failed(&arn, fault))?;
        Ok(Self { kms, arn })
    }

    async fn encrypted(&self, key: &DataKey, context: &Context) -> Result<Wrapped, Error> {
        let plain = Zeroizing::new(STANDARD.encode(key.as_slice()));
        let question = json!({
            "KeyId": self.arn.to_string(),
            "Plaintext": plain.as_str(),
            "EncryptionContext": about(context),
        });
        let answer = self.kms.call::<Encrypted>("Encrypt", &question).await;
        let answer = answer.map_err(|fault| failed(&self.arn, fault))?;
        let bytes = STANDARD.decode(answer.bytes).map_err(|_| Error::Mismatch)?;
        Ok(Wrapped { kek: self.arn.to_string(), bytes })
    }

    async fn decrypted(&self, wrapped: &Wrapped, context: &Context) -> Result<DataKey, Error> {
        if wrapped.kek != self.arn.to_string() {
            return Err(Error::Unknown { id: wrapped.kek.clone() });
        }
        let question = json!({
            "KeyId": self.arn.to_string(),
            "CiphertextBlob": STANDARD.encode(&wrapped.bytes),
            "EncryptionContext": about(context),
        });
        let answer = self.kms.call::<Decrypted>("Decrypt", &question).await;
        let mut answer = answer.map_err(|fault| failed(&self.arn, fault))?;
        let plain = STANDARD.decode(&answer.key).map(Zeroizing::new);
        answer.key.zeroize();
        let mut key = DataKey::default();
        match plain {
            Ok(plain) if plain.len() == key.len() => key.copy_from_slice(&plain),
            _ => return Err(Error::Mismatch),
        }
        Ok(key)
    }
}

impl Kek for KmsKek {
    fn current(&self) -> Answer<'_, String> {
        Box::pin(async { Ok(self.arn.to_string()) })
    }

    fn wrap<'a>(&'a self, key: &'a DataKey, context: &'a Context) -> Answer<'a, Wrapped> {
        Box::pin(self.encrypted(key, context))
    }

    fn unwrap<'a>(&'a self, wrapped: &'a Wrapped, context: &'a Context) -> Answer<'a, DataKey> {
        Box::pin(self.decrypted(wrapped, context))
    }
}

fn about(context: &Context) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("maestro:project", context.project.clone()),
        ("maestro:secret", context.name.clone()),
        ("maestro:version", context.version.to_string()),
    ])
}

fn failed(arn: &KeyArn, fault: Fault) -> Error {
    match fault.kind {
        FaultKind::Missing => Error::Unknown { id: arn.to_string() },
        FaultKind::Mismatch => Error::Mismatch,
        FaultKind::Away => Error::Unavailable { message: fault.to_string(), transient: true },
        FaultKind::Refused => Error::Unavailable { message: fault.to_string(), transient: false },
    }
}

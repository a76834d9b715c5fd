//! A key that signs and never leaves AWS KMS: the spec `ECC_NIST_P256`, the usage `SIGN_VERIFY`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use maestro_schemas::digest::Digest;
use serde::Deserialize;
use serde_json::json;

use super::arn::KeyArn;
use super::{Fault, Kms};
use crate::key::{Error, PublicKey, Signer};

/// A key in the service, and what verifies its signatures.
#[derive(Debug)]
pub struct KmsKey {
    kms: Kms,
    arn: KeyArn,
    public: PublicKey,
}

#[derive(Deserialize)]
struct Public {
    #[serde(rename = "PublicKey")]
    der: String,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "Signature")]
    der: String,
}

impl KmsKey {
    /// Asks the service for the key's public part.
    ///
    /// # Errors
    /// [`Error::Holder`] where it does not give one, [`Error::Form`] where the key is no P-256 key.
    pub async fn ask(arn: KeyArn) -> Result<Self, Error> {
        let kms = Kms::of(&arn).map_err(holder)?;
        let question = json!({ "KeyId": arn.to_string() });
        let answer: Public = kms.call("GetPublicKey", &question).await.map_err(holder)?;
        let public = PublicKey::from_der(&bytes(&answer.der)?, &arn.to_string())?;
        Ok(Self { kms, arn, public })
    }

    /// A key whose public part is known; nothing is asked.
    ///
    /// # Errors
    /// [`Error::Holder`] where there can be no credentials.
    pub fn known(arn: KeyArn, public: PublicKey) -> Result<Self, Error> {
        Ok(Self { kms: Kms::of(&arn).map_err(holder)?, arn, public })
    }

    async fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let question = json!({
            "KeyId": self.arn.to_string(),
            "Message": STANDARD.encode(Digest::of(message).as_bytes()),
            "MessageType": "DIGEST",
            "SigningAlgorithm": "ECDSA_SHA_256",
        });
        let answer: Signed = self.kms.call("Sign", &question).await.map_err(holder)?;
        let signature = bytes(&answer.der)?;
        // Nothing is kept that nobody could verify.
        if !self.public.verifies(message, &signature) {
            return Err(Error::Holder(format!("what {} signed is not by that key", self.arn)));
        }
        Ok(signature)
    }
}

impl Signer for KmsKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        self.signature(message).boxed()
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, Error> {
    let none = |_| Error::Holder("AWS KMS: what it answered is not base64".to_owned());
    STANDARD.decode(text).map_err(none)
}

fn holder(fault: Fault) -> Error {
    Error::Holder(fault.to_string())
}

//! Keys that a key service keeps, by the text that names them there. A build without one says so.

use std::sync::Arc;

use super::{Error, PublicKey, Signer};

/// The public part of a key.
#[cfg(feature = "kms")]
pub(super) async fn ask(name: &str) -> Result<PublicKey, Error> {
    Ok(crate::kms::signer::KmsKey::ask(arn(name)?).await?.public().clone())
}

/// A key whose public part is known.
#[cfg(feature = "kms")]
pub(super) fn known(name: &str, public: PublicKey) -> Result<Arc<dyn Signer>, Error> {
    Ok(Arc::new(crate::kms::signer::KmsKey::known(arn(name)?, public)?))
}

#[cfg(feature = "kms")]
fn arn(name: &str) -> Result<crate::kms::arn::KeyArn, Error> {
    name.parse().map_err(|error: crate::kms::arn::NoArn| Error::Home(error.to_string()))
}

#[cfg(not(feature = "kms"))]
pub(super) async fn ask(name: &str) -> Result<PublicKey, Error> {
    Err(missing(name))
}

#[cfg(not(feature = "kms"))]
pub(super) fn known(name: &str, _: PublicKey) -> Result<Arc<dyn Signer>, Error> {
    Err(missing(name))
}

#[cfg(not(feature = "kms"))]
fn missing(name: &str) -> Error {
    Error::Home(format!("this build has no AWS KMS for {name}; expected one with the feature aws"))
}

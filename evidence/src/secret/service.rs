//! Key-encryption keys that a key service keeps, by the text that names them there. A build without one
//! says so.

use std::sync::Arc;

use super::kek::{Error, Kek};

/// A key of AWS KMS by its ARN; nothing is asked yet.
///
/// # Errors
/// Where the text is no ARN of a key, there can be no credentials, or this build has no AWS KMS.
#[cfg(feature = "kms")]
pub fn of_kms(arn: &str) -> Result<Arc<dyn Kek>, Error> {
    let arn = arn.parse().map_err(|error: crate::kms::arn::NoArn| Error::Unavailable {
        message: error.to_string(),
        transient: false,
    })?;
    Ok(Arc::new(crate::kms::kek::KmsKek::of(arn)?))
}

/// A key of AWS KMS by its ARN, which this build cannot use.
///
/// # Errors
/// Always.
#[cfg(not(feature = "kms"))]
pub fn of_kms(arn: &str) -> Result<Arc<dyn Kek>, Error> {
    Err(Error::Unavailable {
        message: format!("this build has no AWS KMS for {arn}; expected one with the feature aws"),
        transient: false,
    })
}

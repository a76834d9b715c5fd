//! A signing key on its way into a directory of keys: made here, or kept by a key service.

use zeroize::Zeroizing;

use super::local::LocalKey;
use super::{Error, PublicKey, Signer as _, service};

/// How the name of a file ends that holds an encrypted key.
pub(super) const FILE: &str = "key";
/// How the name of a file ends that only names a key of AWS KMS.
pub(super) const KMS: &str = "kms";

/// A signing key, and what the directory keeps of it.
pub struct Next {
    pub(super) public: PublicKey,
    pub(super) ending: &'static str,
    pub(super) text: Zeroizing<String>,
}

impl Next {
    /// A new key, in a file that `passphrase` opens.
    ///
    /// # Errors
    /// [`Error::Home`] where the passphrase is too short.
    pub fn made(passphrase: &str) -> Result<Self, Error> {
        let key = LocalKey::generate()?;
        let text = key.to_pem(passphrase)?;
        Ok(Self { public: key.public().clone(), ending: FILE, text })
    }

    /// A key of AWS KMS by its ARN. The directory keeps its name, and no passphrase is needed.
    ///
    /// # Errors
    /// [`Error::Home`] where the text is no ARN of a key or this build has no AWS KMS,
    /// [`Error::Holder`] where the service does not give its public part.
    pub async fn of_kms(arn: &str) -> Result<Self, Error> {
        let public = service::ask(arn).await?;
        Ok(Self { public, ending: KMS, text: Zeroizing::new(format!("{arn}\n")) })
    }

    pub(super) fn file(&self) -> String {
        file_of(&self.public, self.ending)
    }
}

pub(super) fn file_of(key: &PublicKey, ending: &str) -> String {
    format!("{}.{ending}", key.fingerprint().short())
}

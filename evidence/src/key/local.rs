//! A private key in a file: PKCS #8 in PEM, encrypted with a passphrase by scrypt and AES-256
//! (RFC 5958, RFC 8018, RFC 7914). openssl reads and writes the same form.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate as _;
use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use super::{Error, PEM_BYTES_MAX, PublicKey, Signer};

/// The fewest characters of a passphrase.
pub const PASSPHRASE_CHARS_MIN: usize = 8;

/// A key that this process holds; its bytes are overwritten when it is dropped.
pub struct LocalKey {
    key: SigningKey,
    public: PublicKey,
}

impl LocalKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`Error::Home`] where the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let none = || Error::Home("the system gives no randomness for a key".into());
        let key = SigningKey::try_generate().map_err(|_| none())?;
        let public = PublicKey::of(*key.verifying_key()).ok_or_else(none)?;
        Ok(Self { key, public })
    }

    /// Reads an encrypted file's text; `what` is what an error calls it.
    ///
    /// # Errors
    /// [`Error::Form`] where it is no such file, [`Error::Passphrase`] where the passphrase is wrong.
    pub fn from_pem(text: &str, passphrase: &str, what: &str) -> Result<Self, Error> {
        const LABEL: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        let form = || Error::Form { what: what.into(), expected: LABEL };
        if text.len() > PEM_BYTES_MAX || !text.trim_start().starts_with(LABEL) {
            return Err(form());
        }
        let key = SigningKey::from_pkcs8_encrypted_pem(text.trim(), passphrase)
            .map_err(|_| Error::Passphrase { what: what.into() })?;
        let public = PublicKey::of(*key.verifying_key()).ok_or_else(form)?;
        Ok(Self { key, public })
    }

    /// The encrypted file's text.
    ///
    /// # Errors
    /// [`Error::Home`] where the passphrase is too short.
    pub fn to_pem(&self, passphrase: &str) -> Result<Zeroizing<String>, Error> {
        let count = passphrase.chars().count();
        if count < PASSPHRASE_CHARS_MIN {
            return Err(Error::Home(format!(
                "the passphrase has {count} characters; expected at least {PASSPHRASE_CHARS_MIN}"
            )));
        }
        self.key
            .to_pkcs8_encrypted_pem(passphrase, LineEnding::LF)
            .map_err(|_| Error::Home("the key cannot be encrypted".into()))
    }
}

impl Signer for LocalKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>> {
        let signed: Result<DerSignature, _> = self.key.try_sign(message);
        let signed = signed
            .map(|signature| signature.as_bytes().to_vec())
            .map_err(|error| Error::Holder(error.to_string()));
        std::future::ready(signed).boxed()
    }
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalKey").field("id", &self.public.id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_is_read_back_with_its_passphrase_and_with_no_other() {
        let key = LocalKey::generate().unwrap();
        let text = key.to_pem("correct horse").unwrap();
        let again = LocalKey::from_pem(&text, "correct horse", "a.key").unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"message").await.unwrap();
        assert!(key.public().verifies(b"message", &signature));
        assert!(!key.public().verifies(b"massage", &signature));
        let wrong = LocalKey::from_pem(&text, "correct house", "a.key");
        assert!(matches!(wrong, Err(Error::Passphrase { .. })), "{wrong:?}");
    }

    #[test]
    fn a_short_passphrase_is_refused_and_a_key_is_never_shown() {
        let key = LocalKey::generate().unwrap();
        assert!(matches!(key.to_pem("short"), Err(Error::Home(_))));
        assert_eq!(format!("{key:?}"), format!("LocalKey {{ id: {:?}, .. }}", key.public().id()));
    }

    #[test]
    fn a_public_key_survives_its_text_and_other_texts_are_refused() {
        let key = LocalKey::generate().unwrap();
        let public = PublicKey::from_pem(&key.public().pem(), "a.pub").unwrap();
        assert_eq!(public.id(), key.public().id());
        assert_eq!(public.id().0.len(), 44);
        for text in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(matches!(PublicKey::from_pem(text, "a.pub"), Err(Error::Form { .. })));
        }
    }
}

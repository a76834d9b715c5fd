//! Keys that sign evidence: ECDSA on the curve P-256 with SHA-256 (FIPS 186-5), signatures in DER.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | a public key, its id, and [`Signer`], which signs without giving its key out |
//! | [`local`] | a key in a file that a passphrase protects |
//! | [`ring`] | which keys were good when, signed by the root key |
//! | [`home`] | a directory of keys: made, rotated, revoked |
//! | [`next`] | a signing key on its way into it: made here, or kept by a key service |
//! | `service` | keys that stay in a key service |
//!
//! A key's id is the base64 of the SHA-256 of its DER `SubjectPublicKeyInfo`, which is what Sigstore
//! bundles call its hint.

pub mod home;
pub mod local;
pub mod next;
pub mod ring;
mod service;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use maestro_schemas::digest::Digest;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, VerifyingKey};
use pkcs8::{DecodePublicKey as _, EncodePublicKey as _, LineEnding};

/// The largest PEM file that is read, in bytes.
pub const PEM_BYTES_MAX: usize = 16 * 1024;

/// Signs with a key that it keeps to itself.
pub trait Signer: Send + Sync + fmt::Debug {
    /// What verifies its signatures.
    fn public(&self) -> &PublicKey;

    /// Signs `message`: an ECDSA signature over its SHA-256, in DER.
    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Error>>;
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text holds no such key.
    #[error("{what}: no P-256 key in PEM form; expected {expected}")]
    Form {
        /// Which file or field.
        what: String,
        /// What it should begin with.
        expected: &'static str,
    },
    /// The passphrase does not open the key.
    #[error("{what}: the passphrase does not open the key")]
    Passphrase {
        /// Which file.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{what}")]
    File {
        /// Which file, and what was wanted of it.
        what: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The list of keys is not what it must be.
    #[error("the list of keys: {0}")]
    Ring(String),
    /// What was asked of the directory of keys cannot be.
    #[error("{0}")]
    Home(String),
    /// Whoever holds the key did not sign.
    #[error("the key's holder did not sign: {0}")]
    Holder(String),
}

impl Error {
    /// A stable code with a page in `docs/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form { .. } => "MAE-7080",
            Self::Passphrase { .. } => "MAE-7081",
            Self::File { .. } => "MAE-7082",
            Self::Ring(_) => "MAE-7083",
            Self::Home(_) => "MAE-7084",
            Self::Holder(_) => "MAE-7085",
        }
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    der: Vec<u8>,
}

impl PublicKey {
    /// Reads `-----BEGIN PUBLIC KEY-----`; `what` is what an error calls the text.
    ///
    /// # Errors
    /// [`Error::Form`] where the text is something else, or a key on another curve.
    pub fn from_pem(text: &str, what: &str) -> Result<Self, Error> {
        let form = || Error::Form { what: what.into(), expected: "-----BEGIN PUBLIC KEY-----" };
        if text.len() > PEM_BYTES_MAX {
            return Err(form());
        }
        let key = VerifyingKey::from_public_key_pem(text).map_err(|_| form())?;
        Self::of(key).ok_or_else(form)
    }

    /// Reads a DER `SubjectPublicKeyInfo`, as a key service answers it.
    ///
    /// # Errors
    /// [`Error::Form`] where the bytes are something else, or a key on another curve.
    pub fn from_der(der: &[u8], what: &str) -> Result<Self, Error> {
        let form = || Error::Form { what: what.into(), expected: "a DER SubjectPublicKeyInfo" };
        let key = VerifyingKey::from_public_key_der(der).map_err(|_| form())?;
        Self::of(key).ok_or_else(form)
    }

    /// Nothing where the key cannot be written down, which no key on this curve is known to be.
    pub(crate) fn of(key: VerifyingKey) -> Option<Self> {
        let der = key.to_public_key_der().ok()?.into_vec();
        Some(Self { key, der })
    }

    /// The DER `SubjectPublicKeyInfo`.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// `-----BEGIN PUBLIC KEY-----` and so on, as openssl reads it.
    pub fn pem(&self) -> String {
        self.key.to_public_key_pem(LineEnding::LF).unwrap_or_default()
    }

    /// The base64 of the SHA-256 of its DER form.
    pub fn id(&self) -> KeyId {
        KeyId(STANDARD.encode(Digest::of(&self.der).as_bytes()))
    }

    /// The SHA-256 of its DER form, for people to compare.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Whether `signature`, in DER, is one of `message` by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature)
            .is_ok_and(|signature| self.key.verify(message, &signature).is_ok())
    }
}

/// Which key: base64 of the SHA-256 of its DER form, 44 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

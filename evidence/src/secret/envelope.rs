//! A value at rest: AES-256-GCM under a random data key of its own, which a key-encryption key wraps.
//!
//! A data key encrypts one value once, so its nonce may be any; it is random all the same. What is
//! authenticated with the value and with the key is whose it is, so that rows cannot be swapped.

use aes_gcm::aead::{Aead as _, Generate as _, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit as _, Nonce};
use zeroize::{Zeroize as _, Zeroizing};

use super::kek::{self, Context, DATA_KEY_BYTES, DataKey, Kek, Wrapped};

/// The bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// An encrypted value, as a row holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The data key.
    pub key: Wrapped,
    /// The nonce.
    pub nonce: [u8; NONCE_BYTES],
    /// The value, encrypted, with its tag.
    pub ciphertext: Vec<u8>,
}

/// Encrypts a value under a new data key.
///
/// # Errors
/// Where the key cannot be wrapped.
pub async fn close(kek: &dyn Kek, value: &[u8], context: &Context) -> Result<Envelope, kek::Error> {
    let key = random_key()?;
    let (nonce, ciphertext) = encrypt(&key, value, &context.to_string())?;
    let key = kek.wrap(&key, context).await?;
    Ok(Envelope { key, nonce, ciphertext })
}

/// Decrypts a value.
///
/// # Errors
/// Where the key cannot be unwrapped, or the envelope is another secret's or changed.
pub async fn open(
    kek: &dyn Kek,
    envelope: &Envelope,
    context: &Context,
) -> Result<Zeroizing<Vec<u8>>, kek::Error> {
    let key = kek.unwrap(&envelope.key, context).await?;
    decrypt(&key, (&envelope.nonce, &envelope.ciphertext), &context.to_string())
}

/// The same data key wrapped by the current key; what it encrypts is not touched.
///
/// # Errors
/// Where the key cannot be unwrapped or wrapped.
pub async fn rewrap(
    kek: &dyn Kek,
    wrapped: &Wrapped,
    context: &Context,
) -> Result<Wrapped, kek::Error> {
    let key = kek.unwrap(wrapped, context).await?;
    kek.wrap(&key, context).await
}

pub(super) fn random_key() -> Result<DataKey, kek::Error> {
    let mut key = Key::<Aes256Gcm>::try_generate().map_err(|_| no_chance())?;
    let mut bytes = DataKey::default();
    bytes.copy_from_slice(&key);
    key.as_mut_slice().zeroize();
    Ok(bytes)
}

fn no_chance() -> kek::Error {
    let message = "the system gives no random bytes".to_owned();
    kek::Error::Unavailable { message, transient: true }
}

fn cipher(key: &[u8; DATA_KEY_BYTES]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

pub(super) fn encrypt(
    key: &DataKey,
    value: &[u8],
    context: &str,
) -> Result<([u8; NONCE_BYTES], Vec<u8>), kek::Error> {
    let nonce = Nonce::try_generate().map_err(|_| no_chance())?;
    let payload = Payload { msg: value, aad: context.as_bytes() };
    let ciphertext = cipher(key).encrypt(&nonce, payload).map_err(|_| kek::Error::Mismatch)?;
    Ok((nonce.into(), ciphertext))
}

pub(super) fn decrypt(
    key: &DataKey,
    (nonce, ciphertext): (&[u8; NONCE_BYTES], &[u8]),
    context: &str,
) -> Result<Zeroizing<Vec<u8>>, kek::Error> {
    let payload = Payload { msg: ciphertext, aad: context.as_bytes() };
    let value = cipher(key).decrypt(nonce.into(), payload).map_err(|_| kek::Error::Mismatch)?;
    Ok(Zeroizing::new(value))
}

#[cfg(test)]
mod tests;

//! Signed bytes: a DSSE envelope in a Sigstore bundle of version 0.3 with a public key.
//!
//! Sources: secure-systems-lab/dsse `protocol.md` 1.0.2 (what is signed), sigstore/protobuf-specs
//! `sigstore_bundle.proto` (the bundle). The bundle names its key by a hint and holds neither a
//! certificate nor an entry of a transparency log. What is written here is compact JSON with its
//! fields in one order, and nothing else is read back: so no bit of a bundle is without meaning.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::{self, KeyId, PublicKey, Signer};

/// The media type of a bundle.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The payload type of an in-toto statement.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// The largest bundle that is read, in bytes: a manifest of 100,000 files takes about 20 MB.
pub const BUNDLE_BYTES_MAX: usize = 64 << 20;

/// Why bytes are no bundle that can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is not the JSON that it must be.
    #[error("not a Sigstore bundle v0.3 with a DSSE envelope: {0}")]
    Form(String),
    /// It holds another kind of payload.
    #[error("its payload is of type {found:?}; expected {expected:?}")]
    Payload {
        /// What it says.
        found: String,
        /// What is read here.
        expected: &'static str,
    },
    /// The signature is not one of its payload by the key.
    #[error("its signature does not verify with key {0}")]
    Signature(KeyId),
}

/// A payload with its signature, as it was read: not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    payload: Vec<u8>,
    payload_type: String,
    signature: Vec<u8>,
    key: KeyId,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: Hint,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hint {
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    sig: String,
    keyid: String,
}

/// Signs `payload` and returns the bundle's bytes.
///
/// # Errors
/// Where the key's holder does not sign.
pub async fn seal(
    signer: &dyn Signer,
    payload_type: &str,
    payload: &[u8],
) -> Result<Vec<u8>, key::Error> {
    let signature = signer.sign(&signed_bytes(payload_type, payload)).await?;
    let id = signer.public().id().0;
    let bundle = Bundle {
        media_type: BUNDLE_MEDIA_TYPE.into(),
        verification_material: Material { public_key: Hint { hint: id.clone() } },
        dsse_envelope: Envelope {
            payload: STANDARD.encode(payload),
            payload_type: payload_type.into(),
            signatures: vec![Signature { sig: STANDARD.encode(signature), keyid: id }],
        },
    };
    serde_json::to_vec(&bundle).map_err(|error| key::Error::Holder(error.to_string()))
}

impl Sealed {
    /// Reads a bundle; its signature is not looked at.
    ///
    /// # Errors
    /// [`Invalid::Form`] where the bytes are anything but what [`seal`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        let form = |what: String| Invalid::Form(what);
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(form(format!("{} bytes, more than {BUNDLE_BYTES_MAX}", bytes.len())));
        }
        let bundle: Bundle =
            serde_json::from_slice(bytes).map_err(|error| form(error.to_string()))?;
        if serde_json::to_vec(&bundle).ok().as_deref() != Some(bytes) {
            return Err(form("it is not in the one compact form".into()));
        }
        if bundle.media_type != BUNDLE_MEDIA_TYPE {
            return Err(form(format!("its media type is {:?}", cut(&bundle.media_type))));
        }
        let Envelope { payload, payload_type, signatures } = bundle.dsse_envelope;
        let [Signature { sig, keyid }] = <[Signature; 1]>::try_from(signatures)
            .map_err(|other| form(format!("{} signatures, not one", other.len())))?;
        if keyid != bundle.verification_material.public_key.hint {
            return Err(form("its hint and its signature name two keys".into()));
        }
        let decode = |what: &str, text: &str| {
            STANDARD.decode(text).map_err(|error| form(format!("{what}: {error}")))
        };
        Ok(Self {
            payload: decode("payload", &payload)?,
            signature: decode("sig", &sig)?,
            payload_type,
            key: KeyId(keyid),
        })
    }

    /// The key that it names.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// What it says before anybody has verified it: to find the key, and for nothing else.
    pub fn unverified(&self) -> &[u8] {
        &self.payload
    }

    /// The payload, where it is of `expected` and the signature is one of it by `key`.
    ///
    /// # Errors
    /// What does not hold.
    pub fn open(self, key: &PublicKey, expected: &'static str) -> Result<Vec<u8>, Invalid> {
        if self.payload_type != expected {
            return Err(Invalid::Payload { found: cut(&self.payload_type), expected });
        }
        let message = signed_bytes(&self.payload_type, &self.payload);
        match key.id() == self.key && key.verifies(&message, &self.signature) {
            true => Ok(self.payload),
            false => Err(Invalid::Signature(self.key)),
        }
    }
}

/// DSSE's pre-authentication encoding.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    [&head, payload].concat()
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::local::LocalKey;

    #[tokio::test]
    async fn every_flipped_bit_of_a_bundle_is_found() {
        let key = LocalKey::generate().unwrap();
        let bundle = seal(&key, STATEMENT_TYPE, br#"{"subject":[]}"#).await.unwrap();
        let open = |bytes: &[u8]| {
            Sealed::parse(bytes).and_then(|sealed| sealed.open(key.public(), STATEMENT_TYPE))
        };
        assert_eq!(open(&bundle).unwrap(), br#"{"subject":[]}"#);
        for bit in 0..bundle.len() * 8 {
            let mut changed = bundle.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed).is_err(), "bit {bit} of the bundle can be flipped unseen");
        }
    }

    #[tokio::test]
    async fn another_key_and_another_type_are_refused() {
        let (key, other) = (LocalKey::generate().unwrap(), LocalKey::generate().unwrap());
        let bundle = seal(&key, STATEMENT_TYPE, b"{}").await.unwrap();
        let sealed = Sealed::parse(&bundle).unwrap();
        let id = key.public().id();
        assert_eq!(
            sealed.clone().open(other.public(), STATEMENT_TYPE),
            Err(Invalid::Signature(id))
        );
        assert!(matches!(sealed.open(key.public(), "text/plain"), Err(Invalid::Payload { .. })));
    }

    #[test]
    fn what_is_signed_is_what_the_protocol_says() {
        // The example of the protocol's own text.
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}

//! A key that signs checkpoints, as openssl would.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use maestro_evidence::log::note::NoteSigner;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};

/// What stands before a point on P-256 in a DER `SubjectPublicKeyInfo` (RFC 5480).
const SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[derive(Debug)]
pub struct TestSigner {
    key: EcdsaKeyPair,
    der: Vec<u8>,
}

impl TestSigner {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let form = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(form, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(form, pkcs8.as_ref(), &random).unwrap();
        let der = [&SPKI, key.public_key().as_ref()].concat();
        Self { key, der }
    }
}

impl NoteSigner for TestSigner {
    fn der(&self) -> &[u8] {
        &self.der
    }

    fn pem(&self) -> String {
        hex::encode(&self.der)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.key.public_key());
        key.verify(message, signature).is_ok()
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        let signed = self.key.sign(&SystemRandom::new(), message);
        std::future::ready(signed.map(|s| s.as_ref().to_vec()).map_err(|e| e.to_string())).boxed()
    }
}

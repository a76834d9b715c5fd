//! Digests of packages, in the words of their tools.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// An algorithm, by its name in CycloneDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha384" => Self::Sha384,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hash {
    algorithm: Algorithm,
    hex: String,
}

impl Hash {
    /// Of hexadecimal digits; nothing where their number is not the algorithm's.
    pub(crate) fn of_hex(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let bytes = hex::decode(digits).ok()?;
        (bytes.len() == algorithm.bytes()).then(|| Self { algorithm, hex: hex::encode(bytes) })
    }

    /// Of `sha256:…` with hexadecimal digits, as Python's tools write it.
    pub(crate) fn of_colon(text: &str) -> Option<Self> {
        let (word, digits) = text.split_once(':')?;
        Self::of_hex(Algorithm::parse(word)?, digits)
    }

    /// Of subresource integrity, as npm writes it: `sha512-…` in base64, several with spaces between.
    ///
    /// Nothing where one of them is in no form; algorithms that are not known are passed over.
    pub(crate) fn of_integrity(text: &str) -> Option<Vec<Self>> {
        let mut hashes = Vec::new();
        for word in text.split_ascii_whitespace() {
            let (name, rest) = word.split_once('-')?;
            let Some(algorithm) = Algorithm::parse(name) else { continue };
            // Options may follow a question mark.
            let (digest, _) = rest.split_once('?').unwrap_or((rest, ""));
            let bytes = STANDARD.decode(digest).ok()?;
            if bytes.len() != algorithm.bytes() {
                return None;
            }
            hashes.push(Self { algorithm, hex: hex::encode(bytes) });
        }
        Some(hashes)
    }

    /// As purl's qualifier `checksum` writes it.
    pub(crate) fn checksum(&self) -> String {
        format!("{}:{}", self.algorithm.name().to_ascii_lowercase().replace('-', ""), self.hex)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "alg": self.algorithm.name(), "content": self.hex })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integrity_becomes_hexadecimal_digits() {
        let text = "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= sha3-x sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=?x";
        let found = Hash::of_integrity(text).unwrap();
        let words: Vec<_> = found.iter().map(Hash::checksum).collect();
        assert_eq!(
            words,
            [
                "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
                "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            ]
        );
    }

    #[test]
    fn a_digest_of_another_length_is_none() {
        assert_eq!(Hash::of_integrity("sha512-47DEQpj8HBSa"), None);
        assert_eq!(Hash::of_integrity("sha1"), None);
        assert_eq!(Hash::of_colon("sha256:00"), None);
        assert_eq!(Hash::of_hex(Algorithm::Md5, "zz"), None);
    }
}

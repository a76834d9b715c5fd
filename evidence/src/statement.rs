//! What is said about artifacts: in-toto statements of version 1.
//!
//! Sources: in-toto/attestation `spec/v1` (statement, resource descriptor), slsa.dev
//! `provenance/v1` and `verification_summary/v1`. What Maestro adds bears the prefix `maestro_` or
//! stands in a predicate of its own, [`run`].

pub mod begun;
pub mod provenance;
pub mod run;
pub mod summary;

use std::collections::BTreeMap;

use maestro_schemas::digest::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::dsse::{self, STATEMENT_TYPE};
use crate::key::{self, Signer};

/// The type of every statement.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// A statement with a predicate of the form `P`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement<P> {
    /// [`STATEMENT_V1`].
    #[serde(rename = "_type")]
    pub kind: String,
    /// What it is about.
    pub subject: Vec<Subject>,
    /// The form of `predicate`.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says.
    pub predicate: P,
}

/// Something that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What it is called where the statement is made.
    pub name: String,
    /// Its digests by algorithm: `sha256`.
    pub digest: Digests,
}

/// Digests by algorithm, in hexadecimal digits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digests(pub BTreeMap<String, String>);

impl Digests {
    /// Of bytes.
    pub fn sha256(digest: Digest) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), digest.to_hex())]))
    }

    /// Of a commit.
    pub fn git_commit(commit: &str) -> Self {
        Self(BTreeMap::from([("gitCommit".to_owned(), commit.to_owned())]))
    }

    /// The SHA-256, where there is one.
    pub fn as_sha256(&self) -> Option<Digest> {
        format!("sha256:{}", self.0.get("sha256")?).parse().ok()
    }
}

/// Something that a predicate refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Descriptor {
    /// What it is called.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Its digests.
    #[serde(default, skip_serializing_if = "no_digests")]
    pub digest: Digests,
    /// Its media type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What else is known of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, serde_json::Value>,
}

fn no_digests(digests: &Digests) -> bool {
    digests.0.is_empty()
}

/// A predicate that has a type of its own.
pub trait Predicate: Serialize + DeserializeOwned {
    /// Its type.
    const TYPE: &'static str;
}

impl<P: Predicate> Statement<P> {
    /// A statement about some things.
    pub fn of(subject: Vec<Subject>, predicate: P) -> Self {
        let (kind, predicate_type) = (STATEMENT_V1.to_owned(), P::TYPE.to_owned());
        Self { kind, subject, predicate_type, predicate }
    }

    /// Signs it; what comes back is the bundle's bytes.
    ///
    /// # Errors
    /// Where the key's holder does not sign.
    pub async fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, key::Error> {
        let payload =
            serde_json::to_vec(self).map_err(|error| key::Error::Holder(error.to_string()))?;
        dsse::seal(signer, STATEMENT_TYPE, &payload).await
    }

    /// Reads a payload whose signature was verified.
    ///
    /// # Errors
    /// What it is instead, in words.
    pub fn read(payload: &[u8]) -> Result<Self, String> {
        let statement: Self =
            serde_json::from_slice(payload).map_err(|error| format!("not a statement: {error}"))?;
        match statement.kind == STATEMENT_V1 && statement.predicate_type == P::TYPE {
            true => Ok(statement),
            false => Err(format!(
                "a statement of type {:?} with a predicate of type {:?}; expected {STATEMENT_V1:?} and {:?}",
                statement.kind,
                statement.predicate_type,
                P::TYPE
            )),
        }
    }
}
/// What a statement says that it is, before anybody has verified it.
pub fn predicate_type(payload: &[u8]) -> Option<String> {
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    payload.get("predicateType")?.as_str().map(str::to_owned)
}

//! Secrets by name and version: how steps name them, and how a value gets to one execution. No value
//! stands in any of this but sealed.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{ExecutionId, RunId};
use crate::name::SecretName;
use crate::step::{AttemptToken, StepAddress};

/// The shortest value, in bytes: a shorter one cannot be kept out of logs.
pub const VALUE_BYTES_MIN: usize = 6;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// The most names of a project.
pub const NAMES_MAX: u32 = 1_000;
/// The most secrets of a step.
pub const USES_MAX: usize = 32;
/// The most bytes of all values of a step together, so that an answer fits a message.
pub const STEP_BYTES_MAX: usize = 128 * 1024;

/// A secret as a step names it: `npm-token`, or `npm-token@3` for one version of it.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SecretRef {
    /// Its name.
    pub name: SecretName,
    /// The version; the current one at the start of each attempt where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Why a text names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} names no secret; expected a name as npm-token, or a name and a version as npm-token@3"
)]
pub struct InvalidRef {
    /// The text as it was given, cut to 64 characters.
    pub found: String,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => self.name.fmt(f),
        }
    }
}

impl FromStr for SecretRef {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, InvalidRef> {
        let invalid = || InvalidRef { found: text.chars().take(64).collect() };
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let version = version.map(|text| text.parse().ok().filter(|number| *number > 0));
        match (name.parse(), version) {
            (Ok(name), None) => Ok(Self { name, version: None }),
            (Ok(name), Some(Some(version))) => Ok(Self { name, version: Some(version) }),
            _ => Err(invalid()),
        }
    }
}

/// What a step does with a secret.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SecretUse {
    /// Which.
    pub secret: SecretRef,
    /// Whether the value is put into a file, and the variable holds the file's path.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub file: bool,
}

/// An execution asks for the secrets of its step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretsQuestion {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's token, as the task bore it.
    pub token: AttemptToken,
    /// The execution that asks.
    pub execution: ExecutionId,
    /// Exactly those that the step declares.
    pub secrets: Vec<SecretRef>,
    /// A public key that this execution made, for this question alone.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
}

/// What it is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretsAnswer {
    /// The values, in the order of the question.
    Sealed {
        /// Each of them.
        secrets: Vec<SealedSecret>,
    },
    /// None of them.
    Refused {
        /// A stable code.
        code: String,
        /// What is wrong, what was expected, and what helps.
        message: String,
        /// Whether asking again may help.
        #[serde(default)]
        transient: bool,
    },
}

/// A value that only one execution can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSecret {
    /// The secret's name.
    pub name: SecretName,
    /// Its version.
    pub version: u32,
    /// HPKE's encapsulated key.
    #[serde(with = "serde_bytes")]
    pub encapsulated: Vec<u8>,
    /// The value, encrypted.
    #[serde(with = "serde_bytes")]
    pub ciphertext: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_alone_or_with_a_version() {
        for text in ["npm-token", "npm-token@3"] {
            assert_eq!(text.parse::<SecretRef>().unwrap().to_string(), text);
        }
        for text in ["", "@", "a@", "a@0", "a@-1", "a@x", "A", "a@1@2", "a@4294967296"] {
            assert!(text.parse::<SecretRef>().is_err(), "{text:?} was taken for a secret");
        }
    }
}

//! `/v1/projects/{project}/secrets`. Values go in as bytes and never come out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::ExecutionId;
use crate::name::SecretName;
use crate::step::StepAddress;

/// What a version of a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// What steps get that name no version.
    Current,
    /// Replaced; steps that name its version get it until its time is over.
    Previous,
    /// Gone: nobody gets it, and its bytes are deleted.
    Revoked,
}

/// A version of a secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretVersion {
    /// The secret's name.
    pub name: SecretName,
    /// From 1.
    pub version: u32,
    /// What it is now.
    pub state: SecretState,
    /// The key-encryption key that its data key is wrapped by; absent where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kek: Option<String>,
    /// Until when a previous version is given out, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readable_until_ms: Option<u64>,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// The name of the token that gave it.
    pub created_by: String,
}

/// A page of versions: by name, and of each the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretPage {
    /// The versions.
    pub versions: Vec<SecretVersion>,
    /// The cursor of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretsRevoked {
    /// How many versions are gone that were there before.
    pub versions: u32,
}

/// A page of data keys that were wrapped anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretsRewrapped {
    /// How many this request wrapped by the newest key-encryption key.
    pub wrapped: u32,
    /// How many are wrapped by another one still.
    pub left: u32,
    /// How many of these no key of the server unwraps; its log names them.
    #[serde(default)]
    pub lost: u32,
}

/// A value that was given to an execution. The value itself is not kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretDelivery {
    /// The secret's name.
    pub name: SecretName,
    /// The version that was given.
    pub version: u32,
    /// The step's id, `stage/name` or `stage/name[item]`.
    pub step: String,
    /// Its numbers.
    pub address: StepAddress,
    /// The attempt's number.
    pub attempt: u32,
    /// The execution.
    pub execution: ExecutionId,
    /// Milliseconds since 1970.
    pub delivered_at_ms: u64,
}

/// The secrets that the attempts of a run were given, at most 1,000, the last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretDeliveries {
    /// Each of them.
    pub deliveries: Vec<SecretDelivery>,
}

//! `/v1/projects/{project}/runs/{run}/evidence`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::RunId;

/// Where the evidence of a run that ended stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EvidenceStanding {
    /// The digest of the signed list of all its files; absent until it is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// How many files it lists.
    pub files: u32,
    /// Why it was not signed the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Which run's evidence says how something was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeBy {
    /// The first run whose statement is about it.
    pub run: RunId,
    /// Whether there is none yet: the run has ended, made it, and is not signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsigned: bool,
}

//! `/v1/projects/{project}/prompts`

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A prompt that is given to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptPush {
    /// Its name, as `review` or `team/review`.
    pub name: String,
    /// The text of its file, at most 256 KiB.
    pub text: String,
}

/// The answer to a prompt that was given to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptPushed {
    /// The newest version of the prompt, which has that text.
    #[serde(flatten)]
    pub version: PromptVersion,
    /// Whether this made it; false where the newest version had that text already.
    pub is_new: bool,
}

/// A version of a prompt. It never changes; its labels do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptVersion {
    /// The prompt's name.
    pub name: String,
    /// From 1.
    pub version: u32,
    /// The SHA-256 of its text.
    pub digest: Digest,
    /// What its head says of it.
    pub description: String,
    /// What people have said of it, as `approved`.
    pub labels: BTreeSet<String>,
    /// Milliseconds since 1970.
    pub created_at_ms: u64,
    /// The name of the token that gave it.
    pub created_by: String,
}

/// A version of a prompt with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptText {
    /// The version.
    #[serde(flatten)]
    pub version: PromptVersion,
    /// The text of its file.
    pub text: String,
}

/// A page of versions: of a project the newest of each prompt by name, of a prompt the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromptPage {
    /// The versions.
    pub versions: Vec<PromptVersion>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

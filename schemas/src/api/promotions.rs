//! `/v1/projects/{project}/promotions`: which artifact may go where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{PromotionId, RunId};

/// The longest name of an environment, in bytes.
pub const ENVIRONMENT_BYTES_MAX: usize = 64;

/// The most promotions of a page.
pub const PAGE_MAX: u16 = 200;

/// Asks for an artifact to go to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotionRequest {
    /// The artifact.
    pub artifact: Digest,
    /// Where it is to go, as `staging`: lower-case letters, digits, `_` and `-`.
    pub environment: String,
    /// The run whose evidence is to be verified: one that made the artifact, or took it over. Absent means
    /// the newest that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// That an artifact may go to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promotion {
    /// Its id.
    pub id: PromotionId,
    /// The artifact.
    pub artifact: Digest,
    /// Where it may go.
    pub environment: String,
    /// The run whose evidence was verified.
    pub run: RunId,
    /// Who asked for it.
    pub promoted_by: String,
    /// When, in milliseconds since 1970.
    pub promoted_at_ms: u64,
    /// The digest of the policies that permitted it.
    pub policy: Digest,
    /// The digest of what they were asked.
    pub input: Digest,
    /// The digest of the signed summary.
    pub statement: Digest,
}

/// A page of promotions, the youngest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PromotionPage {
    /// The promotions.
    pub promotions: Vec<Promotion>,
    /// What the next page is asked for with; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether a text can be an environment's name.
pub fn is_environment(text: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=ENVIRONMENT_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environments_name_is_a_word_that_can_be_a_path() {
        for good in ["staging", "prod", "eu-central_1"] {
            assert!(is_environment(good), "{good}");
        }
        for bad in ["", "Prod", "a/b", "..", "a b", &"a".repeat(65)] {
            assert!(!is_environment(bad), "{bad}");
        }
    }
}

//! An error as RFC 9457 has it, `application/problem+json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verdict::Reason;

/// What went wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `/docs/errors/<code>`, relative to the server.
    #[serde(rename = "type")]
    pub kind: String,
    /// A few words that are the same for every occurrence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was found and what was expected, this time.
    pub detail: String,
    /// A stable code, as `MAE-1001`, with a page in `docs/errors/`.
    pub code: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What policies have against it, where they denied it: each rule with its words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

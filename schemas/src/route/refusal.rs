//! Why the router has no answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Excluded;

/// No deployment may serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{} {}: {}", self.code(), self.words(), told(.excluded))]
pub struct Refusal {
    /// The HTTP status: 403 where rules forbid every deployment, 503 where some could serve later or
    /// under other bounds.
    pub status: u16,
    /// Every deployment and what excluded it.
    pub excluded: Vec<Excluded>,
    /// When asking again makes sense, in milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// The stable code of what rules forbid.
    pub const CODE: &'static str = "MAE-4002";
    /// The stable code where some could serve later or under other bounds.
    pub const CODE_NOW: &'static str = "MAE-4011";

    /// The code of this one.
    pub const fn code(&self) -> &'static str {
        if self.status == 503 { Self::CODE_NOW } else { Self::CODE }
    }

    const fn words(&self) -> &'static str {
        if self.status == 503 {
            "no model can serve this request now"
        } else {
            "no model may serve this request"
        }
    }
}

/// The most exclusions that an error's text spells out; the body has them all.
const TOLD_MAX: usize = 12;

fn told(excluded: &[Excluded]) -> String {
    let lines: Vec<String> = excluded
        .iter()
        .take(TOLD_MAX)
        .map(|one| format!("{} by {} ({})", one.deployment, one.rule, one.message))
        .collect();
    if lines.is_empty() { "none is configured".to_owned() } else { lines.join("; ") }
}

//! What became of a call to a model: workers and gateways report it, and the router learns from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::DecisionId;

/// The longest name in an outcome, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest call that is believed, in milliseconds.
pub const LATENCY_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallClass {
    /// With an answer.
    Ok,
    /// No connection came about, or it broke before the answer began.
    Connection,
    /// No answer in time.
    Timeout,
    /// The provider failed (5xx).
    Server,
    /// The provider was asked too often (429).
    Throttled,
    /// The answer was cut in the middle.
    Cut,
    /// The request itself was wrong, or not permitted (4xx): not the provider's fault.
    Refused,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallOutcome {
    /// The deployment that was called.
    pub deployment: String,
    /// The decision that the call followed, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<DecisionId>,
    /// How it ended.
    pub class: CallClass,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// From its start to its end, in milliseconds.
    pub latency_ms: u64,
    /// From its start to the first token, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// When the provider will take another call, in milliseconds, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Tokens of the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// What it cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_microusd: Option<u64>,
    /// What the prompt was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Whether the call stood in for one of another deployment that had failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
    /// How good the answer was by an evaluation, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

impl CallOutcome {
    /// Whether it may be learnt from: names of a length, a latency that is believed, a score in its
    /// range.
    pub fn is_sane(&self) -> bool {
        let named = |name: &String| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        named(&self.deployment)
            && self.topic.as_ref().is_none_or(named)
            && self.latency_ms <= LATENCY_MS_MAX
            && self.ttft_ms.is_none_or(|ttft| ttft <= self.latency_ms)
            && self.score.is_none_or(|score| (0.0..=1.0).contains(&score))
    }

    /// When the call was made, in milliseconds since 1970.
    pub fn started_ms(&self) -> u64 {
        self.at_ms.saturating_sub(self.latency_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_that_cannot_be_is_not_learnt_from() {
        let text = r#"{"deployment": "a", "class": "ok", "at_ms": 9, "latency_ms": 7}"#;
        let sane: CallOutcome = serde_json::from_str(text).unwrap();
        assert!(sane.is_sane() && sane.started_ms() == 2);
        let wrong = [
            CallOutcome { deployment: String::new(), ..sane.clone() },
            CallOutcome { latency_ms: LATENCY_MS_MAX + 1, ..sane.clone() },
            CallOutcome { ttft_ms: Some(8), ..sane.clone() },
            CallOutcome { score: Some(1.5), ..sane.clone() },
            CallOutcome { score: Some(f64::NAN), ..sane.clone() },
            CallOutcome { topic: Some("t".repeat(NAME_BYTES_MAX + 1)), ..sane },
        ];
        assert!(wrong.iter().all(|outcome| !outcome.is_sane()));
    }
}

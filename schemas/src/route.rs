//! What is asked of the router and what it answers: the bodies of `POST /route/choose`, and the same
//! over the bus.
//!
//! Whoever takes a [`RouteRequest`] calls [`RouteRequest::check`] before it hands it on. A decision
//! stays readable by its own text: it names everything that it weighed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::Digest;
use crate::id::DecisionId;

/// The most messages of a request.
pub const MESSAGES_MAX: usize = 4_096;
/// The most characters of all messages, or of a prompt that is only counted.
pub const PROMPT_CHARS_MAX: u64 = 16 << 20;
/// The most tokens that a request may name, of either direction.
pub const TOKENS_MAX: u64 = 16 << 20;
/// The most entries of each list of a request.
pub const NAMES_MAX: usize = 64;
/// The longest name in a request, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// The longest text of objectives, in bytes.
pub const OBJECTIVES_BYTES_MAX: usize = 512;

/// How far along the work is that the answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// The answer is worked on further: cost counts for more, quality for less.
    Draft,
    /// The answer is what people get: quality counts for more, cost for less.
    Final,
}

/// What a project lets the router do.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides beside the model that was asked for, and that one is used.
    #[default]
    Shadow,
    /// It decides and says so; the caller does as it likes.
    Advise,
    /// What it decides is done.
    Act,
}

/// Asks which model a prompt goes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// A model, a group of models or one deployment; without it any model may be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The prompt as chat messages. Only its length is looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Value>,
    /// The prompt's length in characters, where the messages are not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_chars: Option<u64>,
    /// The prompt's length in tokens, where it is known; it goes before the characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// How many tokens the answer is expected to have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The most tokens that the answer may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Tags of the content, as `pii`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Where the prompt may be worked on; empty is anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jurisdictions: Vec<String>,
    /// How far along the work is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// What the prompt is about, in the words of the evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The most that the call may cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_microusd: Option<u64>,
    /// Objectives, written as in the header `X-Maestro-Objectives`, which goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<String>,
    /// Deployments that have been tried for this call and are not to be told again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// What belongs together for the caller, as a conversation; it is recorded and decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MAE-4004 {field}: {found}; expected {expected}")]
pub struct InvalidRequest {
    /// The field.
    pub field: &'static str,
    /// What it holds, in words.
    pub found: String,
    /// What it may hold.
    pub expected: String,
}

impl RouteRequest {
    /// Whether it keeps the limits of this module.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        at_most("messages", self.messages.len() as u64, MESSAGES_MAX as u64)?;
        at_most("prompt_chars", self.chars(), PROMPT_CHARS_MAX)?;
        for (field, tokens) in [
            ("input_tokens", self.input_tokens),
            ("output_tokens", self.output_tokens),
            ("max_output_tokens", self.max_output_tokens),
        ] {
            at_most(field, tokens.unwrap_or(0), TOKENS_MAX)?;
        }
        for (field, names) in
            [("tags", &self.tags), ("jurisdictions", &self.jurisdictions), ("tried", &self.tried)]
        {
            at_most(field, names.len() as u64, NAMES_MAX as u64)?;
            names.iter().try_for_each(|name| is_name(field, name))?;
        }
        for (field, name) in
            [("model", &self.model), ("topic", &self.topic), ("session", &self.session)]
        {
            name.iter().try_for_each(|name| is_name(field, name))?;
        }
        let objectives = self.objectives.as_ref().map_or(0, String::len);
        at_most("objectives", objectives as u64, OBJECTIVES_BYTES_MAX as u64)
    }

    /// The prompt's length in characters: as it was given, or that of the messages' texts.
    pub fn chars(&self) -> u64 {
        self.prompt_chars.unwrap_or_else(|| {
            self.messages.iter().filter_map(|message| message.get("content")).map(text_chars).sum()
        })
    }
}

fn at_most(field: &'static str, found: u64, most: u64) -> Result<(), InvalidRequest> {
    if found <= most {
        return Ok(());
    }
    Err(InvalidRequest { field, found: found.to_string(), expected: format!("at most {most}") })
}

fn is_name(field: &'static str, name: &str) -> Result<(), InvalidRequest> {
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(char::is_control) {
        return Ok(());
    }
    let found = match name.is_empty() {
        true => "an empty text".to_owned(),
        false => format!("a text of {} bytes", name.len()),
    };
    let expected = format!("1 to {NAME_BYTES_MAX} bytes without control characters");
    Err(InvalidRequest { field, found, expected })
}

/// The characters of a message's content: a text, or a list of parts of which some have a text.
fn text_chars(content: &Value) -> u64 {
    match content {
        Value::String(text) => text.chars().count() as u64,
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text")).map(text_chars).sum()
        }
        _ => 0,
    }
}

/// What the router answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RouteDecision {
    /// This decision's own id; outcomes name it.
    pub decision_id: DecisionId,
    /// What was decided.
    #[serde(flatten)]
    pub choice: Choice,
}

/// A decision without its id: what the same facts and the same request always give.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// What the project lets the router do.
    pub mode: Mode,
    /// The model to use, by the name that the gateway knows it by.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// The one deployment of the model.
    pub deployment: String,
    /// Where the prompt is worked on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// Why.
    pub rationale: Rationale,
    /// What it is likely to cost.
    pub costs: Costs,
    /// How fast and how good it is likely to be.
    #[serde(rename = "SLO_forecast")]
    pub slo_forecast: SloForecast,
    /// Deployments to try next, in this order.
    pub fallbacks: Vec<String>,
    /// How long the decision may be used, in milliseconds.
    pub ttl_ms: u64,
    /// In shadow: what would have been chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_have: Option<Alternative>,
    /// Outside shadow: what would have been used without the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<Alternative>,
}

/// The other one of the two: of what was chosen and what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alternative {
    /// The model.
    pub model: String,
    /// Who runs it.
    pub provider: String,
    /// The deployment.
    pub deployment: String,
    /// What it is likely to cost.
    pub costs: Costs,
    /// How fast and how good it is likely to be.
    #[serde(rename = "SLO_forecast")]
    pub slo_forecast: SloForecast,
}

/// What brought a decision about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// It has the best score of several.
    Score,
    /// It is the only one that may serve.
    Only,
    /// It is what was asked for, and the mode is shadow.
    Fixed,
    /// What was asked for is forbidden; this is the next in line that is not.
    Forbidden,
    /// It tries out whether a provider that failed is back.
    Probe,
}

/// Why a deployment was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rationale {
    /// What brought it about.
    pub cause: Cause,
    /// What each objective counted, together 1.
    pub weights: Terms,
    /// The score of each deployment that could have served.
    pub scores: BTreeMap<String, Score>,
    /// The deployments that could not, and why.
    pub excluded: Vec<Excluded>,
    /// The policies that were asked, where some were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<Digest>,
    /// The configuration that was in force, counted from the process' start or by its keeper.
    pub config_version: u64,
    /// The tags that were reckoned with.
    pub tags: Vec<String>,
}

/// A number for each of the five objectives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// How good the answer is.
    pub quality: f64,
    /// How soon nearly all answers are there.
    pub latency: f64,
    /// What a finished task costs.
    pub cost: f64,
    /// How seldom a call fails.
    pub reliability: f64,
    /// How much of it stays in own hands.
    pub sovereignty: f64,
}

/// A deployment's score and what it was made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// The sum of the terms, each times its weight; 0 to 1.
    pub total: f64,
    /// Each objective's term, 0 to 1; the best deployment has 1.
    pub terms: Terms,
    /// US dollars per finished task, failed tries and bad answers included; absent where no price is
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_usd: Option<f64>,
}

/// A deployment that could not serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excluded {
    /// The deployment.
    pub deployment: String,
    /// The rule, as `data.maestro.routing.deny` or `maestro.breaker.open`.
    pub rule: String,
    /// What would have to be otherwise, in words.
    pub message: String,
}

/// What a call is likely to cost, in US dollars; absent where no price is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Costs {
    /// The mean of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_usd: Option<f64>,
    /// What 95 of 100 calls stay below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_usd: Option<f64>,
    /// Where the numbers come from.
    pub basis: Basis,
}

/// Where a cost comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Basis {
    /// The price: `configured`, `list <source> <date>` or `unknown`.
    pub price: String,
    /// The answer's length: `observed`, `requested` or `assumed`.
    pub tokens: String,
}

/// How fast, how sure and how good a call is likely to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SloForecast {
    /// What 95 of 100 answers are faster than; absent before the first outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<Interval>,
    /// The share of calls that do not fail.
    pub p_success: f64,
    /// The share of answers that are good, by the evaluations of this topic.
    pub p_quality: f64,
}

/// A number and how far off it may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The number.
    pub value: f64,
    /// It is hardly below this.
    pub lo: f64,
    /// It is hardly above this.
    pub hi: f64,
}

/// No deployment may serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("MAE-4002 no model may serve this request: {}", told(.excluded))]
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
    /// The error's stable code.
    pub const CODE: &'static str = "MAE-4002";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_known_is_refused_by_name() {
        let error = serde_json::from_str::<RouteRequest>(r#"{"modle": "gpt-4o"}"#).unwrap_err();
        assert!(error.to_string().contains("modle"), "{error}");
    }

    #[test]
    fn a_prompt_is_as_long_as_the_texts_of_its_messages() {
        let request: RouteRequest = serde_json::from_value(serde_json::json!({"messages": [
            {"role": "system", "content": "äbc"},
            {"role": "user", "content": [{"type": "text", "text": "de"}, {"type": "image_url"}]},
            {"role": "assistant"},
        ]}))
        .unwrap();
        assert_eq!(request.chars(), 5);
        assert_eq!(RouteRequest { prompt_chars: Some(9), ..request }.chars(), 9);
    }

    #[test]
    fn what_passes_a_limit_is_named_with_its_field() {
        let field = |request: RouteRequest| request.check().unwrap_err().field;
        let name = || "a".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(field(RouteRequest { model: Some(name()), ..Default::default() }), "model");
        assert_eq!(field(RouteRequest { tags: vec![name()], ..Default::default() }), "tags");
        let tried = vec!["a".to_owned(); NAMES_MAX + 1];
        assert_eq!(field(RouteRequest { tried, ..Default::default() }), "tried");
        let messages = vec![Value::Null; MESSAGES_MAX + 1];
        assert_eq!(field(RouteRequest { messages, ..Default::default() }), "messages");
        let much = Some(u64::MAX);
        assert_eq!(
            field(RouteRequest { prompt_chars: much, ..Default::default() }),
            "prompt_chars"
        );
        assert_eq!(
            field(RouteRequest { output_tokens: much, ..Default::default() }),
            "output_tokens"
        );
        assert_eq!(field(RouteRequest { topic: Some("\n".into()), ..Default::default() }), "topic");
        assert_eq!(RouteRequest::default().check(), Ok(()));
    }
}

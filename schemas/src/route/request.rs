//! What is asked of the router.
//!
//! Whoever takes a [`RouteRequest`] calls [`RouteRequest::check`] before it hands it on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// Asks which model a prompt goes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// A model, a group of models or one deployment; without it any model may be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The prompt as chat messages. They are read for tags and counted, and kept nowhere.
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
    /// What is left for the call, in millionths of a US dollar. Whoever calls cuts the answer to that, so
    /// only a model whose long answers do not fit is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_microusd: Option<u64>,
    /// Whether another model may serve where what is asked for is too dear, by the policies on cost or by
    /// the request's own bounds; where nothing is said, it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgrade: Option<bool>,
    /// Objectives, written as in the header `X-Maestro-Objectives`, which goes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objectives: Option<String>,
    /// Deployments that have been tried for this call and are not to be told again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
    /// Whether the caller makes the call that is decided, and tells its outcome by the decision's id: then
    /// the call counts as under way until that is told, or for 10 minutes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
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

pub(super) fn at_most(field: &'static str, found: u64, most: u64) -> Result<(), InvalidRequest> {
    if found <= most {
        return Ok(());
    }
    Err(InvalidRequest { field, found: found.to_string(), expected: format!("at most {most}") })
}

pub(super) fn is_name(field: &'static str, name: &str) -> Result<(), InvalidRequest> {
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

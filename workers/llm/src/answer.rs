//! What a model answered, summed up from the pieces that it came in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most bytes of an answer, its text and the functions that it asks for together.
pub(crate) const TEXT_BYTES_MAX: usize = 4 << 20;
/// The longest name of a model or deployment, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The most calls of functions in an answer.
const TOOL_CALLS_MAX: u32 = 128;

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The text.
    pub(crate) text: String,
    /// The functions that the model asks for.
    #[serde(default)]
    pub(crate) tool_calls: Vec<ToolCall>,
    /// Why it ended: `stop`, `length`, `tool_calls`, `content_filter`.
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
    /// The model that answered, by its own word.
    #[serde(default)]
    pub(crate) served_by: Option<String>,
    /// The gateway's name for the deployment that was called.
    #[serde(default)]
    pub(crate) deployment: Option<String>,
    /// Tokens in.
    #[serde(default)]
    pub(crate) input_tokens: u64,
    /// Tokens out.
    #[serde(default)]
    pub(crate) output_tokens: u64,
    /// Whether the gateway told both.
    #[serde(default)]
    pub(crate) is_counted: bool,
    /// What it cost by the gateway's own report, in US dollars.
    #[serde(default)]
    pub(crate) reported_cost: Option<f64>,
}

/// A function that the model asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToolCall {
    /// Its id, to answer it by.
    pub(crate) id: String,
    /// The function.
    pub(crate) name: String,
    /// Its arguments, as the model wrote them.
    pub(crate) arguments: String,
}

impl ToolCall {
    fn bytes(&self) -> usize {
        self.id.len() + self.name.len() + self.arguments.len()
    }
}

/// A piece of a streamed answer.
#[derive(Debug, Default, Deserialize)]
struct Piece {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Debug, Default, Deserialize)]
struct ToolDelta {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: FunctionDelta,
}

#[derive(Debug, Default, Deserialize)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    cost: Option<f64>,
}

/// A name that somebody else gave, fit for a row: short, and without control characters.
pub(crate) fn name(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect()
}

/// An answer that is still coming.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    answer: Answer,
    tools: BTreeMap<u32, ToolCall>,
}

impl Gathering {
    pub(crate) fn new(deployment: Option<String>, reported_cost: Option<f64>) -> Self {
        let deployment = deployment.as_deref().map(name);
        let answer = Answer { deployment, reported_cost, ..Answer::default() };
        Self { answer, tools: BTreeMap::new() }
    }

    /// Takes a piece; answers the text that it adds, or says in words what is wrong with it.
    pub(crate) fn add(&mut self, data: &str) -> Result<String, String> {
        let piece: Piece = serde_json::from_str(data).map_err(|error| error.to_string())?;
        if let Some(error) = piece.error {
            let words = error.get("message").and_then(Value::as_str).unwrap_or("an error");
            return Err(format!("it ended with: {}", crate::call::cut(words)));
        }
        if let Some(usage) = piece.usage {
            self.answer.input_tokens = usage.prompt_tokens;
            self.answer.output_tokens = usage.completion_tokens;
            self.answer.is_counted = true;
            self.answer.reported_cost = usage.cost.or(self.answer.reported_cost);
        }
        if self.answer.served_by.is_none() {
            self.answer.served_by = piece.model.as_deref().map(name);
        }
        let mut added = String::new();
        if let Some(choice) = piece.choices.into_iter().next() {
            added = choice.delta.content.unwrap_or_default();
            self.tools(choice.delta.tool_calls.unwrap_or_default())?;
            let reason = choice.finish_reason.as_deref().map(name);
            self.answer.finish_reason = reason.or(self.answer.finish_reason.take());
        }
        self.answer.text.push_str(&added);
        let functions: usize = self.tools.values().map(ToolCall::bytes).sum();
        if self.answer.text.len() + functions > TEXT_BYTES_MAX {
            return Err(format!("it has more than {TEXT_BYTES_MAX} bytes"));
        }
        Ok(added)
    }

    fn tools(&mut self, deltas: Vec<ToolDelta>) -> Result<(), String> {
        for delta in deltas {
            if delta.index >= TOOL_CALLS_MAX {
                return Err(format!("it asks for more than {TOOL_CALLS_MAX} functions"));
            }
            let call = self.tools.entry(delta.index).or_default();
            call.id.push_str(&delta.id.unwrap_or_default());
            call.name.push_str(&delta.function.name.unwrap_or_default());
            call.arguments.push_str(&delta.function.arguments.unwrap_or_default());
            if call.arguments.len() > TEXT_BYTES_MAX {
                return Err(format!(
                    "a function's arguments have more than {TEXT_BYTES_MAX} bytes"
                ));
            }
        }
        Ok(())
    }

    /// The whole.
    pub(crate) fn finish(mut self) -> Answer {
        let cleaned = |call: ToolCall| ToolCall {
            id: name(&call.id),
            name: name(&call.name),
            arguments: call.arguments,
        };
        self.answer.tool_calls = self.tools.into_values().map(cleaned).collect();
        self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_text_functions_and_usage() {
        let mut gathering = Gathering::new(None, None);
        let pieces = [
            r#"{"model":"m-1","choices":[{"delta":{"role":"assistant","content":"He"}}]}"#,
            r#"{"choices":[{"delta":{"content":"llo"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":4,"cost":0.0000036}}"#,
        ];
        let added: String = pieces.iter().map(|piece| gathering.add(piece).unwrap()).collect();
        let answer = gathering.finish();
        assert_eq!((added.as_str(), answer.text.as_str()), ("Hello", "Hello"));
        assert_eq!(answer.tool_calls[0].arguments, r#"{"a":1}"#);
        assert_eq!((answer.input_tokens, answer.output_tokens), (8, 4));
        assert_eq!(answer.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(answer.reported_cost, Some(0.000_003_6));
    }

    #[test]
    fn an_error_in_mid_stream_is_an_error() {
        let mut gathering = Gathering::new(None, None);
        let found = gathering.add(r#"{"error":{"message":"overloaded","code":"529"}}"#);
        assert!(found.unwrap_err().contains("overloaded"));
    }
}

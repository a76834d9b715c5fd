//! A call as JSON, in OpenAI's protocol, and the digest that its answer is remembered under.

use maestro_schemas::digest::Digest;
use maestro_schemas::route::PromptRef;
use maestro_schemas::task::Task;
use serde_json::{Value, json};

use crate::parameters::Sampling;

/// The most bytes of a request.
pub(crate) const BODY_BYTES_MAX: usize = 8 << 20;

/// A call of a chat model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The model, as the gateway names it.
    pub(crate) model: String,
    /// What it is told.
    pub(crate) messages: Vec<Value>,
    /// The prompt that this was rendered from.
    pub(crate) prompt: Option<PromptRef>,
    /// How it is to answer.
    pub(crate) sampling: Sampling,
    /// The most tokens of the answer; the cap may have lowered it.
    pub(crate) max_tokens: Option<u32>,
}

impl Call {
    /// The body of the request.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": self.messages,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        let Sampling { temperature, top_p, seed, stop, tools, schema, .. } = &self.sampling;
        let format = schema.as_ref().map(|schema| {
            let named = json!({ "name": "answer", "schema": schema, "strict": false });
            json!({ "type": "json_schema", "json_schema": named })
        });
        let optional = [
            ("temperature", temperature.map(|value| json!(value))),
            ("top_p", top_p.map(|value| json!(value))),
            ("seed", seed.map(|value| json!(value))),
            ("max_tokens", self.max_tokens.map(|value| json!(value))),
            ("stop", (!stop.is_empty()).then(|| json!(stop))),
            ("tools", (!tools.is_empty()).then(|| json!(tools))),
            ("response_format", format),
        ];
        if let Some(object) = body.as_object_mut() {
            let given = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
            object.extend(given.map(|(name, value)| (name.to_owned(), value)));
        }
        body
    }

    /// How many bytes of text the model is given; no token is shorter than one.
    pub(crate) fn input_bytes(&self) -> u64 {
        let messages: usize = self.messages.iter().map(|message| message.to_string().len()).sum();
        let tools: usize =
            self.sampling.tools.iter().map(|tool| json!(tool).to_string().len()).sum();
        let schema = self.sampling.schema.as_ref().map_or(0, |schema| schema.to_string().len());
        (messages + tools + schema) as u64
    }
}

/// What an answer is remembered under: the attempt, the how-manieth call of it, and its body. A
/// redelivered attempt finds what was paid for; another attempt asks anew.
pub(crate) fn memory_key(task: &Task, ordinal: u32, body: &Value) -> Digest {
    Digest::of_json(&json!({
        "step": task.idempotency_key,
        "attempt": task.token.number,
        "call": ordinal,
        "body": body,
    }))
}

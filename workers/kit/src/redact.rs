//! Keeps an execution's secrets out of all that leaves the worker as text: log, failures, outputs.
//!
//! | file | what it holds |
//! |---|---|
//! | `encodings` | the forms in which a value may show |
//! | `matcher` | finds any of them, and says how much of the end may be the beginning of one |
//! | `stream` | replaces them in what comes in pieces |
//!
//! It is a net and no wall: whoever has a value can write it down in a form that is not known here.

mod encodings;
mod matcher;
mod stream;

use std::fmt;
use std::sync::{Arc, OnceLock};

use maestro_schemas::outcome::Outcome;
use serde_json::Value;

use matcher::Matcher;
pub use stream::Stream;

/// What stands where a secret stood.
pub const MASK: &str = "***";

/// The secrets of one execution. Clones share them.
#[derive(Clone, Default)]
pub struct Redactor {
    matcher: Arc<OnceLock<Matcher>>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("registered", &self.matcher.get().is_some()).finish()
    }
}

/// The values are too large to be looked for, or there are some already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets cannot be looked for in what the step says")]
pub struct Unfit;

impl Redactor {
    /// Replaces `values` and their encodings from now on. Once for an execution, before anything that
    /// knows them is started.
    ///
    /// # Errors
    /// Where they cannot be looked for; then nothing may be started with them.
    pub fn register<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Unfit> {
        let matcher = Matcher::of(values.into_iter().flat_map(encodings::of)).ok_or(Unfit)?;
        self.matcher.set(matcher).map_err(|_| Unfit)
    }

    /// For what comes in pieces.
    pub fn stream(&self) -> Stream {
        Stream::of(self.clone())
    }

    /// A text without the secrets.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// Bytes without the secrets.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut clean = stream.push(bytes);
        clean.extend(stream.finish());
        clean
    }

    /// What is reported, without the secrets.
    pub(crate) fn outcome(&self, mut outcome: Outcome) -> Outcome {
        if self.matcher.get().is_none() {
            return outcome;
        }
        match &mut outcome {
            Outcome::Succeeded { outputs, .. } => {
                *outputs = std::mem::take(outputs)
                    .into_iter()
                    .map(|(name, value)| (self.text(&name), self.value(value)))
                    .collect();
            }
            Outcome::Failed { failure, .. } => failure.message = self.text(&failure.message),
            Outcome::Cancelled { .. } => {}
        }
        outcome
    }

    fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Number(number) => {
                let text = number.to_string();
                let clean = self.text(&text);
                if clean == text { Value::Number(number) } else { Value::String(clean) }
            }
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.text(&name), self.value(value)))
                .collect(),
            Value::Null | Value::Bool(_) => value,
        }
    }

    fn matcher(&self) -> Option<&Matcher> {
        self.matcher.get()
    }
}

#[cfg(test)]
mod tests;

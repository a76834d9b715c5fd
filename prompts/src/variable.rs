//! A variable of a prompt: its type, its default, and values held to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The value where none is given; without one, a value must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// One sentence for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// What a variable's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of anything.
    List,
    /// An object of anything.
    Object,
    /// Anything.
    Any,
}

impl Kind {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
            Self::Any => "any",
        }
    }

    /// Whether a value is of this type.
    pub fn holds(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Any => true,
        }
    }
}

impl Variable {
    /// Says in words what is wrong with its name or default.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit());
        if !is_name {
            return Err(format!("variable {name:?}: a name is letters, digits and _"));
        }
        match &self.default {
            Some(value) => self.admit(name, value),
            None => Ok(()),
        }
    }

    /// Says in words what is wrong with a value.
    pub(crate) fn admit(&self, name: &str, value: &Value) -> Result<(), String> {
        if self.kind.holds(value) {
            return Ok(());
        }
        Err(format!("variable {name}: found {}, expected {}", kind_of(value), self.kind.as_str()))
    }
}

/// The word for a value's type.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

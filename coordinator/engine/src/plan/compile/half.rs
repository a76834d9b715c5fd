//! Values that are known in part: the rest is left to the run as expressions.

use serde_json::Value;

use crate::expression::template::{self, Piece};

/// A value of the pipeline, resolved as far as it can be when planning.
#[derive(Debug, Clone, PartialEq)]
pub enum Half {
    /// Known.
    Known(Value),
    /// A text, some of which only a run knows.
    Text(Vec<Piece>),
    /// A list, some of which only a run knows.
    List(Vec<Half>),
    /// An object, some of which only a run knows.
    Map(Vec<(String, Half)>),
}

impl Default for Half {
    fn default() -> Self {
        Self::Known(Value::Null)
    }
}

impl Half {
    /// A list or an object; one of known values alone is a known value.
    pub fn whole(self) -> Self {
        if self.is_later() { self } else { Self::Known(self.render(false)) }
    }

    /// Whether only a run knows all of it.
    pub fn is_later(&self) -> bool {
        match self {
            Self::Known(_) => false,
            Self::Text(_) => true,
            Self::List(values) => values.iter().any(Self::is_later),
            Self::Map(fields) => fields.iter().any(|(_, value)| value.is_later()),
        }
    }

    /// The value as it stands in a plan. Where its step is `templated`, what is literal is escaped.
    pub fn render(&self, templated: bool) -> Value {
        match self {
            Self::Known(value) if templated => escaped(value),
            Self::Known(value) => value.clone(),
            Self::Text(pieces) => Value::String(pieces.iter().map(render).collect()),
            Self::List(values) => values.iter().map(|value| value.render(templated)).collect(),
            Self::Map(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, value)| (name.clone(), value.render(templated)))
                    .collect(),
            ),
        }
    }

    /// The expression that yields this value in a run.
    pub fn expression(&self) -> String {
        match self {
            Self::Known(value) => literal(value),
            Self::Text(pieces) => match pieces.as_slice() {
                [Piece::Expression(expression)] => format!("({expression})"),
                pieces => {
                    format!("({})", pieces.iter().map(operand).collect::<Vec<_>>().join(" ~ "))
                }
            },
            Self::List(values) => {
                format!("[{}]", values.iter().map(Self::expression).collect::<Vec<_>>().join(", "))
            }
            Self::Map(fields) => {
                let field = |(name, value): &(String, Self)| {
                    format!("{}: {}", literal(&Value::String(name.clone())), value.expression())
                };
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn operand(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => literal(&Value::String(text.clone())),
        Piece::Expression(expression) => format!("({expression})"),
    }
}

fn render(piece: &Piece) -> String {
    match piece {
        Piece::Literal(text) => template::escape(text),
        Piece::Expression(expression) => format!("{{{{ {expression} }}}}"),
    }
}

fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(template::escape(text)),
        Value::Array(values) => values.iter().map(escaped).collect(),
        Value::Object(fields) => Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), escaped(value))).collect(),
        ),
        other => other.clone(),
    }
}

/// A value as an expression yields it.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::String(name.clone()), literal(value))
            };
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

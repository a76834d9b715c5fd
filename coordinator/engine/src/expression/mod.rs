//! Expressions: `{{ … }}` in parameters and environment, conditions, items, outputs.
//!
//! | module | what it does |
//! |---|---|
//! | [`template`] | cuts a text into literals and expressions |
//! | [`name`] | the names that an expression reads |
//! | [`program`] | the language: compiles and evaluates, bounded |
//! | [`matrix`] | combinations of axes |
//! | [`scope`] | what a run's expressions can name |
//! | here | what the engine asks of a checked plan's expressions while it runs |
//!
//! The engine calls [`resolve`] before it decides an attempt, [`condition`] when all that a step
//! needs has ended, [`items`] when a fan-out opens and [`outputs`] when a run ends. Equal scopes
//! give equal answers; a node that is not `templated` costs nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::{ITEMS_MAX, Items, Node};
use serde_json::Value;

use crate::plan::CheckedPlan;

pub mod matrix;
pub mod name;
pub mod program;
pub mod scope;
pub mod template;
mod token;

pub use scope::{Item, Scope, Status, StepOutputs, StepResult};

use program::{Program, TEXT_BYTES_MAX};
use template::Piece;

/// Why an expression of a run has no usable value. The step that asked fails with it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan has no such node.
    #[error("the plan has no node {0}")]
    UnknownNode(u32),
    /// A text cannot be cut into literals and expressions.
    #[error("a text of the step cannot be read")]
    Template(#[from] template::Error),
    /// An expression has no value.
    #[error(transparent)]
    Program(#[from] program::Error),
    /// A value is not of the kind that is needed in its place.
    #[error("`{expression}` yields {found}; expected {expected}")]
    Type {
        /// The expression.
        expression: String,
        /// What it yields, in words.
        found: &'static str,
        /// What is needed, in words.
        expected: &'static str,
    },
    /// There are more items than a fan-out may have.
    #[error("`{expression}` yields {found} items; the most is {ITEMS_MAX}")]
    TooManyItems {
        /// The expression.
        expression: String,
        /// How many there are.
        found: u64,
    },
    /// A text is longer than any may be.
    #[error(
        "a text of the step has more than {TEXT_BYTES_MAX} bytes once its expressions are resolved"
    )]
    TooLong,
}

/// A node's parameters and environment with every expression resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved<'p> {
    /// The parameters; borrowed where nothing had to be resolved.
    pub with: Cow<'p, Value>,
    /// The environment; borrowed where nothing had to be resolved.
    pub env: Cow<'p, BTreeMap<String, String>>,
}

/// The items of a fan-out.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemList {
    /// The numbers below this.
    Range(u32),
    /// These values.
    List(Arc<Vec<Value>>),
}

impl ItemList {
    /// How many there are.
    pub fn count(&self) -> u32 {
        match self {
            Self::Range(count) => *count,
            Self::List(values) => u32::try_from(values.len()).unwrap_or(u32::MAX),
        }
    }

    /// The value of one of them.
    pub fn get(&self, index: u32) -> Option<Cow<'_, Value>> {
        match self {
            Self::Range(count) => (index < *count).then(|| Cow::Owned(Value::from(index))),
            Self::List(values) => values.get(index as usize).map(Cow::Borrowed),
        }
    }
}

/// A node's parameters and environment for one attempt. `scope.steps` must hold the results of
/// the node's `reads`.
pub fn resolve<'p>(
    plan: &'p CheckedPlan,
    node: u32,
    scope: &Scope<'_>,
) -> Result<Resolved<'p>, Error> {
    let node = find(plan, node)?;
    if !node.templated {
        return Ok(Resolved { with: Cow::Borrowed(&node.with), env: Cow::Borrowed(&node.env) });
    }
    let evaluation = Evaluation { plan, scope, status: Status::default() };
    let env = node
        .env
        .iter()
        .map(|(name, text)| Ok((name.clone(), evaluation.text(text)?)))
        .collect::<Result<_, Error>>()?;
    Ok(Resolved { with: Cow::Owned(evaluation.value(&node.with)?), env: Cow::Owned(env) })
}

/// Whether a node runs, now that all that it needs has ended as `status` says.
pub fn condition(
    plan: &CheckedPlan,
    node: u32,
    scope: &Scope<'_>,
    status: Status,
) -> Result<bool, Error> {
    match find(plan, node)?.condition.as_deref() {
        None | Some("success()") => Ok(status.is_success()),
        Some("always()" | "true") => Ok(true),
        Some("false") => Ok(false),
        Some(expression) => Ok(Evaluation { plan, scope, status }.raw(expression)?.is_true()),
    }
}

/// The items of a node's fan-out; absent where it is none.
pub fn items(plan: &CheckedPlan, node: u32, scope: &Scope<'_>) -> Result<Option<ItemList>, Error> {
    let Some(for_each) = &find(plan, node)?.for_each else {
        return Ok(None);
    };
    match &for_each.items {
        Items::Range(count) => Ok(Some(ItemList::Range(*count))),
        Items::Literal(values) => Ok(Some(ItemList::List(Arc::new(values.clone())))),
        Items::Expression(expression) => {
            let value = Evaluation { plan, scope, status: Status::default() }.json(expression)?;
            item_list(expression, value).map(Some)
        }
    }
}

/// The run's own outputs, once it has ended. One that has no value is left out, as what names a
/// step that did not run has none.
pub fn outputs(plan: &CheckedPlan, scope: &Scope<'_>) -> Outputs {
    let evaluation = Evaluation { plan, scope, status: Status::default() };
    plan.outputs
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), evaluation.value(value).ok()?)))
        .collect()
}

/// Makes items of a value: a list's elements, or the numbers below a whole number.
pub fn item_list(expression: &str, value: Value) -> Result<ItemList, Error> {
    let too_many = |found| Error::TooManyItems { expression: expression.into(), found };
    match value {
        Value::Array(values) if values.len() > ITEMS_MAX as usize => {
            Err(too_many(values.len() as u64))
        }
        Value::Array(values) => Ok(ItemList::List(Arc::new(values))),
        Value::Number(number) => match number.as_u64() {
            Some(count) if count <= u64::from(ITEMS_MAX) => {
                Ok(ItemList::Range(u32::try_from(count).unwrap_or(ITEMS_MAX)))
            }
            Some(count) => Err(too_many(count)),
            None => Err(not_items(expression, "a number that is negative or not whole")),
        },
        other => Err(not_items(expression, kind(&other))),
    }
}

fn not_items(expression: &str, found: &'static str) -> Error {
    Error::Type { expression: expression.into(), found, expected: "a list or a whole number" }
}

/// What a JSON value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn find(plan: &CheckedPlan, node: u32) -> Result<&Node, Error> {
    plan.nodes.get(node as usize).ok_or(Error::UnknownNode(node))
}

struct Evaluation<'a> {
    plan: &'a CheckedPlan,
    scope: &'a Scope<'a>,
    status: Status,
}

impl Evaluation<'_> {
    fn raw(&self, expression: &str) -> Result<minijinja::Value, Error> {
        let context = self.scope.context(self.plan, expression, self.status);
        let value = match self.plan.program(expression) {
            Some(program) => program.evaluate(expression, context)?,
            None => Program::compile(expression)?.evaluate(expression, context)?,
        };
        Ok(value)
    }

    fn json(&self, expression: &str) -> Result<Value, Error> {
        Ok(program::json(expression, &self.raw(expression)?)?)
    }

    fn value(&self, value: &Value) -> Result<Value, Error> {
        match value {
            Value::String(text) if template::is_template(text) => self.typed(text),
            Value::Array(values) => values.iter().map(|value| self.value(value)).collect(),
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| Ok((name.clone(), self.value(value)?)))
                .collect::<Result<_, Error>>()
                .map(Value::Object),
            other => Ok(other.clone()),
        }
    }

    /// A text that is one expression keeps the type of its value.
    fn typed(&self, text: &str) -> Result<Value, Error> {
        match template::pieces(text)?.as_slice() {
            [Piece::Expression(expression)] => self.json(expression),
            pieces => self.join(pieces).map(Value::String),
        }
    }

    fn text(&self, text: &str) -> Result<String, Error> {
        if !template::is_template(text) {
            return Ok(text.to_owned());
        }
        self.join(&template::pieces(text)?)
    }

    fn join(&self, pieces: &[Piece]) -> Result<String, Error> {
        let mut joined = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => joined.push_str(literal),
                Piece::Expression(expression) => {
                    joined.push_str(&program::text(expression, &self.raw(expression)?)?);
                }
            }
            if joined.len() > TEXT_BYTES_MAX {
                return Err(Error::TooLong);
            }
        }
        Ok(joined)
    }
}

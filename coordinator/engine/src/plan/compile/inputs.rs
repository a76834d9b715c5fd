//! The values that were given for a pipeline's inputs, against the types that it declares.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::pipeline::{Input, InputType};
use serde_json::Value;

use super::Report;
use crate::expression::kind;
use crate::pipeline::diagnostic::list;
use crate::pipeline::yaml::Path;
use crate::pipeline::{Code, Fault, Position, Source};

/// Values for inputs, and whom to tell what is wrong with them.
pub(super) struct Given<'a> {
    /// The values by name.
    pub values: &'a BTreeMap<String, Value>,
    /// Names of inputs whose value only a run knows.
    pub later: &'a BTreeSet<String>,
    /// The file that gives them.
    pub file: &'a Source,
    /// Where it does; where nothing is said, the input's declaration is named.
    pub at: Option<Position>,
}

/// Every input with its value: the given one, else the default, else null. Those of which only a
/// run knows the value are left out.
pub(super) fn check(
    source: &Source,
    given: &Given<'_>,
    report: &mut Report,
) -> BTreeMap<String, Value> {
    let declared = &source.pipeline.inputs;
    for name in given.values.keys().chain(given.later).filter(|name| !declared.contains_key(*name))
    {
        let at = given.at.unwrap_or(source.tree.at);
        let fault =
            Fault::new(Code::UnknownInput, at, format!("the pipeline has no input {name:?}"))
                .found(name)
                .expected(list(declared.keys().map(String::as_str), "or"))
                .suggest(name, declared.keys().map(String::as_str));
        report.add(given.file, fault);
    }
    declared
        .iter()
        .filter(|(name, _)| !given.later.contains(*name))
        .map(|(name, input)| {
            (name.clone(), one(source, (name, input), given, report).unwrap_or(Value::Null))
        })
        .collect()
}

fn one(
    source: &Source,
    (name, input): (&str, &Input),
    given: &Given<'_>,
    report: &mut Report,
) -> Option<Value> {
    let declared_at = source.at(&Path::default().join("inputs").join(name));
    let default = report.take(source, declaration(name, input, declared_at))?;
    let at = given.at.unwrap_or(declared_at);
    let value = match given.values.get(name) {
        Some(value) => typed(name, input, value.clone(), at),
        None => default.ok_or_else(|| missing(name, input, at)),
    };
    report.take(given.file, value)
}

/// Checks an input's own declaration; the value where none is given, absent where one must be.
fn declaration(name: &str, input: &Input, at: Position) -> Result<Option<Value>, Fault> {
    let is_choice = input.kind == InputType::Choice;
    let options = input.options.as_deref().unwrap_or_default();
    if is_choice && options.is_empty() {
        return Err(Fault::new(
            Code::MissingKey,
            at,
            format!("the choice {name:?} has no options"),
        )
        .expected("a list of the values that may be given, as options"));
    }
    if !is_choice && input.options.is_some() {
        return Err(Fault::new(
            Code::InvalidValue,
            at,
            format!("the input {name:?} has options and is no choice"),
        )
        .hint("write type: choice"));
    }
    match &input.default {
        Some(default) => typed(name, input, default.clone(), at)
            .map(Some)
            .map_err(|fault| Fault { code: Code::WrongType, ..fault }),
        None if input.required => Ok(None),
        None => Ok(Some(Value::Null)),
    }
}

fn missing(name: &str, input: &Input, at: Position) -> Fault {
    let fault = Fault::new(Code::MissingInput, at, format!("the input {name:?} has no value"))
        .expected(format!("a value of the type {}", input.kind.as_str()))
        .hint(format!("give it with --set {name}=…"));
    match &input.description {
        Some(description) => fault.found(format!("nothing; it is {description}")),
        None => fault,
    }
}

/// A value of the input's type. A text is read as that type, as it comes from a command line.
fn typed(name: &str, input: &Input, value: Value, at: Position) -> Result<Value, Fault> {
    let wrong = |value: &Value| {
        Fault::new(
            Code::WrongInput,
            at,
            format!("the value of the input {name:?} is not of its type"),
        )
        .found(format!("{}: {value}", kind(value)))
        .expected(input.kind.as_str())
    };
    let read = |value: Value| match &value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    };
    let options = input.options.as_deref().unwrap_or_default();
    let (value, fits): (Value, fn(&Value) -> bool) = match input.kind {
        InputType::String => (value, Value::is_string),
        InputType::Number => (read(value), Value::is_number),
        InputType::Integer => (read(value), |value| value.is_i64() || value.is_u64()),
        InputType::Boolean => (read(value), Value::is_boolean),
        InputType::List => (read(value), Value::is_array),
        InputType::Object => (read(value), Value::is_object),
        InputType::Choice => return choice(name, options, value, at),
    };
    if fits(&value) { Ok(value) } else { Err(wrong(&value)) }
}

fn choice(name: &str, options: &[Value], value: Value, at: Position) -> Result<Value, Fault> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let wanted = text(&value);
    match options.iter().find(|option| text(option) == wanted) {
        Some(option) => Ok(option.clone()),
        None => {
            let words: Vec<String> = options.iter().map(text).collect();
            let words = || words.iter().map(String::as_str);
            Err(Fault::new(Code::WrongInput, at, format!("the input {name:?} has no such option"))
                .found(&wanted)
                .expected(list(words(), "or"))
                .suggest(&wanted, words()))
        }
    }
}

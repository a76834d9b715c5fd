//! Expressions on minijinja: compiled once, evaluated with bounded work and bounded texts.
//!
//! The language is minijinja's expressions without the operator `*` and with the filters and
//! functions that are listed here. None of them reads a clock, a file or chance, and none makes
//! much out of little: `replace` and `join` are ours because the usual ones can.

use std::fmt::Write as _;
use std::sync::OnceLock;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, ErrorKind, Expression, UndefinedBehavior, filters, functions, tests};

use super::name::names;
use super::token::tokens;

/// The most instructions of one evaluation.
pub const FUEL: u64 = 100_000;

/// The longest text that an expression or a template yields, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// A compiled expression.
pub struct Program(Expression<'static, 'static>);

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Program")
    }
}

/// Why a text is no expression, or an expression yields nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not parse.
    #[error("the expression `{expression}` does not parse: {detail}")]
    Syntax {
        /// The expression.
        expression: String,
        /// What the parser found.
        detail: String,
    },
    /// It uses something that expressions do not have.
    #[error("the expression `{expression}` uses {what}, which expressions do not have")]
    Forbidden {
        /// The expression.
        expression: String,
        /// The operator or function.
        what: String,
    },
    /// It has no value here.
    #[error("the expression `{expression}` has no value: {detail}")]
    Failed {
        /// The expression.
        expression: String,
        /// Why.
        detail: String,
    },
}

/// What expressions may call.
pub const FUNCTIONS: [&str; 7] =
    ["success", "failure", "always", "cancelled", "range", "combinations", "hash"];

impl Program {
    /// Compiles `expression`.
    pub fn compile(expression: &str) -> Result<Self, Error> {
        refuse_forbidden(expression)?;
        environment().compile_expression_owned(expression.to_owned()).map(Self).map_err(|error| {
            Error::Syntax { expression: expression.into(), detail: detail(&error) }
        })
    }

    /// Evaluates it; `expression` is its text, for the error.
    pub fn evaluate(&self, expression: &str, context: Value) -> Result<Value, Error> {
        let failed = |detail: String| Error::Failed { expression: expression.into(), detail };
        let value = self.0.eval(context).map_err(|error| failed(detail(&error)))?;
        if value.is_undefined() {
            return Err(failed("it names something that does not exist".into()));
        }
        Ok(value)
    }
}

fn refuse_forbidden(expression: &str) -> Result<(), Error> {
    let forbidden =
        |what: &str| Error::Forbidden { expression: expression.into(), what: what.into() };
    if tokens(expression).iter().any(|token| token.is_sign('*')) {
        return Err(forbidden("the operator *"));
    }
    match names(expression).iter().find(|name| {
        name.called && !(name.path.is_empty() && FUNCTIONS.contains(&name.root.as_str()))
    }) {
        Some(call) => Err(forbidden(&format!("the function {}()", call.root))),
        None => Ok(()),
    }
}

fn detail(error: &minijinja::Error) -> String {
    let mut text = match error.kind() {
        ErrorKind::OutOfFuel => format!("it takes more than {FUEL} instructions"),
        _ => error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
    };
    text.truncate(text.floor_char_boundary(500));
    text
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(64);
        add_filters(&mut environment);
        add_tests(&mut environment);
        environment.add_function("range", functions::range);
        environment.add_function("combinations", super::matrix::combinations);
        environment
    })
}

fn add_filters(environment: &mut Environment<'static>) {
    environment.add_filter("lower", filters::lower);
    environment.add_filter("upper", filters::upper);
    environment.add_filter("title", filters::title);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("length", filters::length);
    environment.add_filter("first", filters::first);
    environment.add_filter("last", filters::last);
    environment.add_filter("min", filters::min);
    environment.add_filter("max", filters::max);
    environment.add_filter("sum", filters::sum);
    environment.add_filter("sort", filters::sort);
    environment.add_filter("unique", filters::unique);
    environment.add_filter("reverse", filters::reverse);
    environment.add_filter("items", filters::items);
    environment.add_filter("list", filters::list);
    environment.add_filter("split", filters::split);
    environment.add_filter("lines", filters::lines);
    environment.add_filter("default", filters::default);
    environment.add_filter("round", filters::round);
    environment.add_filter("abs", filters::abs);
    environment.add_filter("int", filters::int);
    environment.add_filter("float", filters::float);
    environment.add_filter("string", filters::string);
    environment.add_filter("bool", filters::bool);
    environment.add_filter("select", filters::select);
    environment.add_filter("reject", filters::reject);
    environment.add_filter("selectattr", filters::selectattr);
    environment.add_filter("rejectattr", filters::rejectattr);
    environment.add_filter("map", map);
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("tojson", |value: &Value| json_text(value));
    environment.add_filter("fromjson", from_json);
}

fn add_tests(environment: &mut Environment<'static>) {
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("number", tests::is_number);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("string", tests::is_string);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("startingwith", tests::is_startingwith);
    environment.add_test("endingwith", tests::is_endingwith);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("even", tests::is_even);
    environment.add_test("eq", tests::is_eq);
    environment.add_test("ne", tests::is_ne);
    environment.add_test("lt", tests::is_lt);
    environment.add_test("le", tests::is_le);
    environment.add_test("gt", tests::is_gt);
    environment.add_test("ge", tests::is_ge);
    environment.add_test("in", tests::is_in);
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> minijinja::Error {
    minijinja::Error::new(ErrorKind::InvalidOperation, detail)
}

fn bounded(text: String) -> Result<String, minijinja::Error> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(invalid(format!("a text has more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}

fn map(list: &Value, options: Kwargs) -> Result<Vec<Value>, minijinja::Error> {
    let attribute: String = options.get("attribute")?;
    options.assert_all_used()?;
    list.try_iter()?
        .map(|item| {
            attribute.split('.').try_fold(item, |value, word| match value.get_attr(word)? {
                found if found.is_undefined() => Err(invalid(format!("an item has no {word}"))),
                found => Ok(found),
            })
        })
        .collect()
}

fn join(list: &Value, separator: Option<&str>) -> Result<String, minijinja::Error> {
    let mut text = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            text.push_str(separator.unwrap_or_default());
        }
        write!(text, "{item}").map_err(|_| invalid("an item has no text"))?;
        text = bounded(text)?;
    }
    Ok(text)
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, minijinja::Error> {
    let growth = text.matches(from).count().saturating_mul(to.len());
    if growth.saturating_add(text.len()) > TEXT_BYTES_MAX {
        return Err(invalid(format!("a text has more than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text.replace(from, to))
}

fn json_text(value: &Value) -> Result<String, minijinja::Error> {
    serde_json::to_value(value)
        .map_err(|_| invalid("the value has no JSON form"))
        .and_then(|json| bounded(json.to_string()))
}

fn from_json(text: &str) -> Result<Value, minijinja::Error> {
    serde_json::from_str::<serde_json::Value>(text)
        .map(|json| self::value(&json))
        .map_err(|error| invalid(format!("the text is no JSON: {error}")))
}

/// A value for an expression to read, from anything that has a JSON form.
pub fn value(data: &(impl serde::Serialize + ?Sized)) -> Value {
    Value::from(minijinja::value::Serde(data))
}

/// A value as JSON.
pub fn json(expression: &str, value: &Value) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::Failed {
        expression: expression.into(),
        detail: format!("its value has no JSON form: {error}"),
    })
}

/// A value as it stands within a text: a text as it is, `none` as nothing, lists and objects as JSON.
pub fn text(expression: &str, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok(String::new()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        _ => json(expression, value).map(|json| json.to_string()),
    }
}

#[cfg(test)]
mod specification {
    use super::*;

    fn evaluate(expression: &str) -> Result<String, Error> {
        let value = Program::compile(expression)?.evaluate(expression, Value::UNDEFINED)?;
        json(expression, &value).map(|json| json.to_string())
    }

    #[test]
    fn arithmetic_lists_and_filters_have_values() {
        assert_eq!(evaluate("[3, 1, 2] | sort | last").expect("a value"), "3");
        assert_eq!(evaluate("{'a': [1]}").expect("a value"), r#"{"a":[1]}"#);
        assert_eq!(
            evaluate("[{'a': 1}, {'a': 2}] | map(attribute='a') | list").expect("a value"),
            "[1,2]"
        );
        assert_eq!(evaluate("'[1]' | fromjson").expect("a value"), "[1]");
    }

    #[test]
    fn what_could_make_much_out_of_little_is_refused() {
        for expression in [
            "'a' * 100000000",
            "'aaaaaaaaaaaaaaaaaaaa' | replace('a', range(100000) | join('aaaaaaaaaa'))",
            "range(100000) | join('aaaaaaaaaaaaaaaaaaaaaaaaa')",
            "range(100000000)",
            "'a' | indent(1000000000)",
            "'a'.join([])",
            "missing",
            "debug()",
        ] {
            assert!(evaluate(expression).is_err(), "{expression} was evaluated");
        }
    }
}

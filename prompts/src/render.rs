//! A prompt with values put in: strict, so that a name that is not there is an error and never an
//! empty place, and within limits of work and size.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

use crate::template::{Fault, Prompt};

/// How much work a rendering may be, in the template engine's steps.
const FUEL: u64 = 5_000_000;
/// The most bytes of a rendered message.
pub const RENDERED_BYTES_MAX: usize = 4 << 20;
/// How many letters off a name is still taken to be meant.
const SLIPS_MAX: usize = 2;
/// What templates may call or read beside their variables.
const BUILT_IN: [&str; 6] = ["file", "range", "dict", "namespace", "loop", "self"];

const SYSTEM: &str = "system";
const BODY: &str = "body";

/// Where a template's `file(path)` gets its text.
pub trait Files: Send + Sync {
    /// The text of a file among those that the step sees, or in words why there is none.
    fn text(&self, path: &str) -> Result<String, String>;
}

/// A prompt's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The system's message.
    pub system: Option<String>,
    /// The user's message.
    pub user: String,
}

/// Renders a prompt.
///
/// # Errors
/// In words, with the line in the prompt's file where one is known: a value that is missing, of
/// another type or not named by the prompt; a file that is not there; a message that is too large.
pub fn render(
    prompt: &Prompt,
    given: &Map<String, Value>,
    files: Arc<dyn Files>,
) -> Result<Rendered, Fault> {
    let values = values(prompt, given)?;
    let mut environment = environment();
    environment.add_function("file", move |path: String| -> Result<String, Error> {
        files.text(&path).map_err(|why| Error::new(ErrorKind::InvalidOperation, why))
    });
    let message = |name: &str, text: &str, line: usize| -> Result<String, Fault> {
        let template = environment.template_from_named_str(name, text);
        let template = template.map_err(|error| fault(&error, line))?;
        let mut bounded = Bounded(Vec::new());
        match template.render_captured_to(Serde(&values), &mut bounded) {
            Ok(_) => {
                String::from_utf8(bounded.0).map_err(|_| Fault::new(line, "the message is no text"))
            }
            Err(_) if bounded.0.len() >= RENDERED_BYTES_MAX => {
                let message = format!("the message has more than {RENDERED_BYTES_MAX} bytes");
                Err(Fault::new(line, message))
            }
            Err(error) => Err(fault(&error, line)),
        }
    };
    Ok(Rendered {
        system: prompt.head.system.as_deref().map(|text| message(SYSTEM, text, 1)).transpose()?,
        user: message(BODY, &prompt.body, prompt.body_line)?,
    })
}

/// Takes what is rendered up to [`RENDERED_BYTES_MAX`], and ends the rendering there.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = RENDERED_BYTES_MAX.saturating_sub(self.0.len());
        self.0.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
        if bytes.len() > room { Err(io::Error::other("too large")) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether both templates can be parsed and use only what they may.
pub(crate) fn check(prompt: &Prompt) -> Result<(), Fault> {
    let environment = environment();
    let system = prompt.head.system.as_deref().map(|text| (SYSTEM, text, 1));
    for (name, text, line) in
        system.into_iter().chain([(BODY, prompt.body.as_str(), prompt.body_line)])
    {
        let template =
            environment.template_from_named_str(name, text).map_err(|error| fault(&error, line))?;
        let used = template.undeclared_variables(false);
        let unknown: BTreeSet<&str> = used
            .iter()
            .map(String::as_str)
            .filter(|name| !prompt.head.variables.contains_key(*name) && !BUILT_IN.contains(name))
            .collect();
        if let Some(unknown) = unknown.first() {
            let line = line + line_of(text, unknown);
            return Err(Fault::new(line, undeclared(prompt, unknown)));
        }
    }
    Ok(())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    // Without custom delimiters this cannot fail; where it did, the last line end would be lost.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment
}

/// How many lines stand before the first use of a name.
fn line_of(text: &str, name: &str) -> usize {
    let tag = |line: &str| line.contains(name) && (line.contains("{{") || line.contains("{%"));
    text.lines().position(tag).unwrap_or(0)
}

fn undeclared(prompt: &Prompt, name: &str) -> String {
    let known = prompt.head.variables.keys().map(String::as_str);
    let hint =
        nearest(name, known).map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
    format!(
        "{name} is no variable of this prompt: name it in its head, below [variables.{name}]{hint}"
    )
}

/// The known name that is a slip of the pen away.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|other| (strsim::damerau_levenshtein(name, other), other));
    near.filter(|(distance, _)| *distance <= SLIPS_MAX).min().map(|(_, other)| other)
}

/// A value for every variable, and for nothing else.
fn values(prompt: &Prompt, given: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
    let known = &prompt.head.variables;
    if let Some(name) = given.keys().find(|name| !known.contains_key(*name)) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Fault::new(1, format!("{name} is no variable of this prompt; it has {has}")));
    }
    let mut values = Map::new();
    for (name, variable) in known {
        let value = given
            .get(name)
            .or(variable.default.as_ref())
            .ok_or_else(|| Fault::new(1, format!("variable {name} has no value and no default")))?;
        variable.admit(name, value).map_err(|message| Fault::new(1, message))?;
        values.insert(name.clone(), value.clone());
    }
    Ok(values)
}

fn fault(error: &Error, first_line: usize) -> Fault {
    let line = first_line + error.line().unwrap_or(1).saturating_sub(1);
    let mut message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if error.kind() == ErrorKind::OutOfFuel {
        message = format!("the template takes more than {FUEL} steps");
    }
    Fault::new(line, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct One;

    impl Files for One {
        fn text(&self, path: &str) -> Result<String, String> {
            match path {
                "a.ts" => Ok("let a = 1;\n".into()),
                other => Err(format!("there is no file {other}")),
            }
        }
    }

    fn rendered(text: &str, given: Value) -> Result<Rendered, String> {
        let prompt = Prompt::parse(text).map_err(|fault| fault.to_string())?;
        let given = given.as_object().cloned().unwrap_or_default();
        render(&prompt, &given, Arc::new(One)).map_err(|fault| fault.to_string())
    }

    const TEXT: &str = "+++\nsystem = \"For {{ who }}.\"\n[variables.who]\ntype = \"text\"\ndefault = \"all\"\n[variables.paths]\ntype = \"list\"\n+++\n{% for path in paths %}{{ path }}:\n{{ file(path) }}{% endfor %}";

    #[test]
    fn values_defaults_and_files_are_put_in() {
        let found = rendered(TEXT, json!({"paths": ["a.ts"]})).unwrap();
        assert_eq!(found.system.as_deref(), Some("For all."));
        assert_eq!(found.user, "a.ts:\nlet a = 1;\n");
    }

    #[test]
    fn what_is_missing_unknown_or_of_another_type_is_refused_by_name() {
        let why = |given| rendered(TEXT, given).unwrap_err();
        assert!(why(json!({})).contains("paths has no value"));
        assert!(why(json!({"paths": "a.ts"})).contains("found text, expected list"));
        assert!(why(json!({"paths": [], "x": 1})).contains("x is no variable"));
        let missing = why(json!({"paths": ["b.ts"]}));
        assert!(
            missing.contains("line 10") && missing.contains("there is no file b.ts"),
            "{missing}"
        );
    }

    #[test]
    fn a_template_without_end_runs_out_of_fuel() {
        let text =
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(rendered(text, json!({})).unwrap_err().contains("steps"));
    }

    #[test]
    fn a_message_that_grows_too_large_ends_where_it_does() {
        let text = "{% for a in range(9999) %}{{ 'x' * 1000 }}{{ file('a.ts') }}{% endfor %}";
        let why = rendered(text, json!({})).unwrap_err();
        assert!(why.contains("more than 4194304 bytes"), "{why}");
    }

    #[test]
    fn nothing_is_escaped_and_a_missing_field_is_no_empty_place() {
        let text = "+++\n[variables.x]\ntype = \"object\"\n+++\n{{ x.a }}";
        assert_eq!(rendered(text, json!({"x": {"a": "<b> & c"}})).unwrap().user, "<b> & c");
        assert!(rendered(text, json!({"x": {}})).is_err());
    }
}

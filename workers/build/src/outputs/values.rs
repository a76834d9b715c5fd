//! `$MAESTRO_OUTPUT`: named values that later steps can use.
//!
//! Each line is `name=text`, `name:=json`, or `name<<END`, after which the lines up to one that
//! reads `END` are the text. Empty lines are passed over; a name that comes again replaces.

use std::io::{ErrorKind, Read};
use std::path::Path;

use maestro_kit::redact::Redactor;
use maestro_schemas::outcome::{INLINE_BYTES_MAX, Outputs};
use serde_json::Value;

use crate::error::Error;
use crate::plain;

/// Reads what the step has written.
///
/// What is said of a line that is in no form holds no secret, nor the beginning of one.
pub(crate) async fn read(path: &Path, redactor: &Redactor) -> Result<Outputs, Error> {
    let path = path.to_owned();
    let text = tokio::task::spawn_blocking(move || read_text(&path))
        .await
        .map_err(|_| Error::ShuttingDown)??;
    parse(&text, redactor)
}

fn too_much() -> Error {
    Error::Output(format!(
        "holds more than {} KiB; keep what is larger as an artifact",
        INLINE_BYTES_MAX / 1024
    ))
}

fn read_text(path: &Path) -> Result<String, Error> {
    let file = match plain::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Err(Error::Output("is no plain file any more".into()));
        }
        Err(source) => return Err(Error::files("cannot read", path, source)),
    };
    let mut text = Vec::new();
    // One byte beyond tells that there is more; the lines' own signs come on top of the values.
    let most = 2 * INLINE_BYTES_MAX as u64 + 1;
    file.take(most)
        .read_to_end(&mut text)
        .map_err(|source| Error::files("cannot read", path, source))?;
    if text.len() as u64 >= most {
        return Err(too_much());
    }
    String::from_utf8(text).map_err(|_| Error::Output("is not UTF-8".into()))
}

fn parse(text: &str, redactor: &Redactor) -> Result<Outputs, Error> {
    let mut outputs = Outputs::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = match split(line) {
            Some((name, Form::Text(text))) => (name, Value::String(text.to_owned())),
            Some((name, Form::Json(json))) => (name, json_of(number, name, json)?),
            Some((name, Form::Until(end))) => {
                let text = block(number, end, &mut lines)?;
                (name, Value::String(text))
            }
            None => {
                let shown: String = redactor.text(line).chars().take(60).collect();
                return Err(Error::Output(format!(
                    "line {}: {shown:?} is none of name=text, name:=json, name<<END",
                    number + 1
                )));
            }
        };
        outputs.insert(name.to_owned(), value);
    }
    let size = serde_json::to_vec(&outputs).map_or(usize::MAX, |json| json.len());
    if size > INLINE_BYTES_MAX {
        return Err(too_much());
    }
    Ok(outputs)
}

enum Form<'a> {
    Text(&'a str),
    Json(&'a str),
    Until(&'a str),
}

fn split(line: &str) -> Option<(&str, Form<'_>)> {
    let end = line.find(|character: char| {
        !(character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
    })?;
    let (name, rest) = line.split_at(end);
    let form = if let Some(json) = rest.strip_prefix(":=") {
        Form::Json(json)
    } else if let Some(end) = rest.strip_prefix("<<") {
        Form::Until(end.trim())
    } else {
        Form::Text(rest.strip_prefix('=')?)
    };
    let named = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    named.then_some((name, form))
}

fn json_of(number: usize, name: &str, json: &str) -> Result<Value, Error> {
    serde_json::from_str(json).map_err(|error| {
        let line = number + 1;
        Error::Output(format!("line {line}: the value of {name} is no JSON: {error}"))
    })
}

fn block<'a>(
    number: usize,
    end: &str,
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
) -> Result<String, Error> {
    let mut text = Vec::new();
    for (_, line) in lines {
        if line == end {
            return Ok(text.join("\n"));
        }
        text.push(line);
    }
    Err(Error::Output(format!("line {}: the text that ends with {end:?} does not end", number + 1)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_three_forms_are_read() {
        let text = "a=1 = x\n\nb:={\"list\":[1,2]}\nc<<EOF\none\n\na=two\nEOF\na=again\r\nempty=\n";
        let outputs = parse(text, &Redactor::default()).expect("outputs");
        let expected = json!({
            "a": "again", "b": {"list": [1, 2]}, "c": "one\n\na=two", "empty": ""
        });
        assert_eq!(json!(outputs), expected);
    }

    #[test]
    fn what_is_in_no_form_is_refused_with_its_line() {
        for (text, says) in [
            ("ok=1\njust words", "line 2"),
            ("=x", "line 1"),
            ("1a=x", "line 1"),
            ("a:={", "no JSON"),
            ("a<<EOF\nx", "does not end"),
        ] {
            let error = parse(text, &Redactor::default()).expect_err("refused").to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
    }

    #[test]
    fn more_than_a_report_carries_is_refused() {
        let text = format!("a={}", "x".repeat(INLINE_BYTES_MAX));
        let error = parse(&text, &Redactor::default()).expect_err("refused").to_string();
        assert!(error.contains("64 KiB"), "{error}");
    }
}

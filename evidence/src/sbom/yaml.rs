//! YAML as JSON's values: texts, truth values, nothing, lists and objects. Numbers stay texts.
//!
//! What lock files do not have is refused: anchors, keys that are no texts, a second document.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::error::{Code, Error, Place};
use super::value::text;

/// The deepest nesting.
const DEPTH_MAX: usize = 64;

/// Reads one document.
pub(crate) fn parse(file: &str, bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader { file, open: Vec::new(), done: None };
    for event in Parser::new_from_str(text(file, bytes)?) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let place = Place::Column(marker.line(), marker.col() + 1);
            Error::malformed(file, place, format!("is no YAML: {}", error.info()))
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.done.unwrap_or_default())
}

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

struct Reader<'a> {
    file: &'a str,
    open: Vec<Open>,
    done: Option<Value>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Error> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                self.plain(anchor, span)?;
                self.put(scalar(&text, style), span)
            }
            Event::SequenceStart(anchor, _) => {
                self.plain(anchor, span)?;
                self.begin(Open::List(Vec::new()), span)
            }
            Event::MappingStart(anchor, _) => {
                self.plain(anchor, span)?;
                self.begin(Open::Map(Map::new(), None), span)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(list)) => self.put(Value::Array(list), span),
                Some(Open::Map(map, _)) => self.put(Value::Object(map), span),
                None => Ok(()),
            },
            Event::Alias(_) => Err(self.error(span, "uses an alias")),
            _ => Ok(()),
        }
    }

    fn plain(&self, anchor: usize, span: Span) -> Result<(), Error> {
        if anchor == 0 { Ok(()) } else { Err(self.error(span, "has an anchor")) }
    }

    fn begin(&mut self, open: Open, span: Span) -> Result<(), Error> {
        if self.open.len() >= DEPTH_MAX {
            let place = place(span);
            let error = Error::new(Code::Limit, self.file, place, "is nested too deeply");
            return Err(error.expected(format!("at most {DEPTH_MAX} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, value: Value, span: Span) -> Result<(), Error> {
        match self.open.last_mut() {
            None if self.done.is_some() => Err(self.error(span, "has a second document")),
            None => {
                self.done = Some(value);
                Ok(())
            }
            Some(Open::List(list)) => {
                list.push(value);
                Ok(())
            }
            Some(Open::Map(map, waiting)) => match (waiting.take(), value) {
                (Some(key), value) => {
                    map.insert(key, value);
                    Ok(())
                }
                (None, Value::String(key)) => {
                    *waiting = Some(key);
                    Ok(())
                }
                (None, Value::Bool(key)) => {
                    *waiting = Some(key.to_string());
                    Ok(())
                }
                (None, _) => Err(self.error(span, "has a key that is no text")),
            },
        }
    }

    fn error(&self, span: Span, message: &str) -> Error {
        Error::malformed(self.file, place(span), message)
    }
}

fn place(span: Span) -> Place {
    Place::Column(span.start.line(), span.start.col() + 1)
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
        (ScalarStyle::Plain, "true") => Value::Bool(true),
        (ScalarStyle::Plain, "false") => Value::Bool(false),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_but_truth_values_and_nothing_are_texts() {
        let found = parse("f", b"a: 1.0\nb: [true, 'true', ~, ]\n'c d': {e: }\n").unwrap();
        let expected = serde_json::json!({
            "a": "1.0", "b": [true, "true", null], "c d": { "e": null }
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn what_lock_files_do_not_have_is_refused_with_its_place() {
        let deep = "[".repeat(100);
        for (text, says) in [
            ("a: &x 1\n", "f:1:4: has an anchor"),
            ("a: [\n", "f:2:1: is no YAML"),
            ("[a]: b\n", "has a key that is no text"),
            ("a\n---\nb\n", "has a second document"),
            (deep.as_str(), "is nested too deeply"),
        ] {
            let error = parse("f", text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

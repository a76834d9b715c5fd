//! YAML as a tree that remembers where each thing stood.
//!
//! The scalars are those of YAML 1.2's core schema. What could cost much is refused by name: too
//! large a file, too deep a tree, too many values, more than one document. Aliases are not taken:
//! a list of models has no use for them, and they can be made to cost much.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::Number;

use super::fault::{Code, Fault, Position};

/// The largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting.
pub const DEPTH_MAX: usize = 16;
/// The most values of a file.
pub const VALUES_MAX: usize = 50_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// The value.
    pub kind: Kind,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// An object, in the file's order.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The place of the value at `path`, whose words are keys and indices; where it leads nowhere,
    /// that of the last value on it.
    pub fn place(&self, path: &[&str]) -> Position {
        let mut node = self;
        for word in path {
            match node.child(word) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.at
    }

    fn child(&self, word: &str) -> Option<&Self> {
        match &self.kind {
            Kind::List(nodes) => nodes.get(word.parse::<usize>().ok()?),
            Kind::Map(entries) => {
                entries.iter().find(|entry| entry.key == word).map(|entry| &entry.value)
            }
            _ => None,
        }
    }
}

/// Reads one document.
pub fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > FILE_BYTES_MAX {
        return Err(limit(Position::START, "the file is too large")
            .found(format!("{} bytes", text.len()))
            .expected(format!("at most {FILE_BYTES_MAX} bytes")));
    }
    Reader { events: Parser::new_from_str(text), values: 0 }.document().map_err(|fault| *fault)
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    values: usize,
}

type Read<T> = Result<T, Box<Fault>>;

impl<'a> Reader<'a> {
    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Read<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    let fault = limit(position(span), "the file holds a second document");
                    return Err(Box::new(fault.expected("one document")));
                }
                Event::DocumentStart(_) => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or(Node { at: Position::START, kind: Kind::Null }))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Node> {
        let at = position(span);
        self.values += 1;
        if depth > DEPTH_MAX || self.values > VALUES_MAX {
            let fault = limit(at, "the file holds too much");
            let most = format!("at most {DEPTH_MAX} levels and {VALUES_MAX} values");
            return Err(Box::new(fault.expected(most)));
        }
        let kind = match event {
            Event::Alias(_) => {
                let fault = limit(at, "the file repeats a value by an alias");
                return Err(Box::new(fault.hint("write the value out")));
            }
            Event::Scalar(text, style, _, tag) => {
                let is_text = tag.is_some_and(|tag| tag.suffix == "str");
                scalar(&text, style != ScalarStyle::Plain || is_text)
            }
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => Kind::Null,
        };
        Ok(Node { at, kind })
    }

    fn list(&mut self, depth: usize) -> Read<Kind> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Kind::List(nodes)),
                (event, span) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Kind> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            let (key, at) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Kind::Map(entries)),
                (Event::Scalar(key, ..), span) => (key.into_owned(), position(span)),
                (_, span) => {
                    return Err(Box::new(limit(position(span), "a key is not a plain text")));
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if let Some(first) = seen.insert(key.clone(), at.line) {
                let fault = Fault::new(Code::Doubled, at, format!("the key {key:?} stands twice"));
                return Err(Box::new(fault.hint(format!("the first one is in line {first}"))));
            }
            entries.push(Entry { key, at, value });
        }
    }
}

fn limit(at: Position, message: &str) -> Fault {
    Fault::new(Code::Syntax, at, message)
}

fn position(span: Span) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(span.start.line()), column: number(span.start.col() + 1) }
}

fn syntax(error: &ScanError) -> Box<Fault> {
    let fault = limit(position(Span::empty(*error.marker())), "the file is not YAML");
    Box::new(
        fault
            .found(error.info())
            .hint("look at the indentation and the quotes of this line and of the one before it"),
    )
}

fn scalar(text: &str, is_text: bool) -> Kind {
    if is_text {
        return Kind::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => number(text).map_or_else(|| Kind::Text(text.to_owned()), Kind::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    let plain = text.strip_prefix('+').unwrap_or(text);
    let digits = plain.strip_prefix('-').unwrap_or(plain);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let whole = plain.parse::<i64>().map(Number::from);
    whole
        .or_else(|_| plain.parse::<u64>().map(Number::from))
        .ok()
        .or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, path: &[&str]) -> (u32, u32) {
        let at = parse(text).unwrap().place(path);
        (at.line, at.column)
    }

    #[test]
    fn every_value_knows_its_place() {
        let text = "a: 1\nb:\n  - x\n  - c: 2\n";
        assert_eq!(place(text, &["b", "1", "c"]), (4, 8));
        assert_eq!(place(text, &["b", "1", "none", "x"]), (4, 5));
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        assert_eq!(scalar("1.5e-7", false), Kind::Number(Number::from_f64(1.5e-7).unwrap()));
        assert_eq!(scalar("-3", false), Kind::Number((-3).into()));
        assert_eq!(scalar("3.7.1", false), Kind::Text("3.7.1".into()));
        assert_eq!(scalar("7", true), Kind::Text("7".into()));
        assert_eq!(scalar("no", false), Kind::Text("no".into()));
    }

    #[test]
    fn depth_size_aliases_and_second_documents_are_refused() {
        for text in ["[".repeat(40), " ".repeat(FILE_BYTES_MAX + 1)] {
            assert_eq!(parse(&text).unwrap_err().code, Code::Syntax);
        }
        for text in ["a: &x 1\nb: *x\n", "a: 1\n---\nb: 2\n", "a: [1\n", "a:\n\t- b\n"] {
            assert_eq!(parse(text).unwrap_err().code, Code::Syntax, "{text}");
        }
        assert_eq!(parse("a: 1\nb: 2\na: 3\n").unwrap_err().code, Code::Doubled);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader(text in "[a-c:\\-\\[\\]{}&*,# \n\t'\"0-9]{0,200}") {
            let _ = parse(&text);
        }
    }
}

//! YAML as a tree that remembers where each thing stood.
//!
//! The scalars are those of YAML 1.2's core schema. What could cost much is refused by name: too
//! large a file, too deep a tree, aliases that repeat too much, more than one document.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Number, Value};

use super::diagnostic::{Code, Fault, Position};

/// The largest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The deepest nesting.
pub const DEPTH_MAX: usize = 32;

/// The most values of a file, those that aliases repeat included.
pub const VALUES_MAX: usize = 200_000;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Marked {
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
    List(Vec<Marked>),
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
    pub value: Marked,
}

impl Marked {
    /// The value without its places.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(values) => values.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The entry of a key, where this is an object that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    fn child(&self, word: &str) -> Option<&Self> {
        match &self.kind {
            Kind::List(values) => values.get(word.parse::<usize>().ok()?),
            _ => self.entry(word).map(|entry| &entry.value),
        }
    }

    /// The value at `path`; where the path leads nowhere, the last value on it that is there.
    pub fn find(&self, path: &Path) -> &Self {
        let mut value = self;
        for word in &path.0 {
            match value.child(word) {
                Some(child) => value = child,
                None => break,
            }
        }
        value
    }
}

/// The way from a file's root to a value, as keys and indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// One word further.
    pub fn join(&self, word: impl ToString) -> Self {
        let mut words = self.0.clone();
        words.push(word.to_string());
        Self(words)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the pipeline");
        }
        for (index, word) in self.0.iter().enumerate() {
            match word.bytes().all(|byte| byte.is_ascii_digit()) {
                true => write!(f, "[{word}]")?,
                false if index == 0 => f.write_str(word)?,
                false => write!(f, ".{word}")?,
            }
        }
        Ok(())
    }
}

/// Reads one document. A syntax fault ends the reading and stands alone; doubled keys are gathered.
pub fn parse(text: &str) -> Result<Marked, Vec<Fault>> {
    if text.len() > FILE_BYTES_MAX {
        return Err(vec![
            Fault::new(Code::FileLimit, Position { line: 1, column: 1 }, "the file is too large")
                .found(format!("{} bytes", text.len()))
                .expected(format!("at most {FILE_BYTES_MAX} bytes")),
        ]);
    }
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        values: 0,
        doubled: Vec::new(),
    };
    let root = reader.document().map_err(|fault| vec![*fault])?;
    if reader.doubled.is_empty() { Ok(root) } else { Err(reader.doubled) }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, (Marked, usize)>,
    values: usize,
    doubled: Vec<Fault>,
}

type Read<T> = Result<T, Box<Fault>>;

fn position(span: Span) -> Position {
    Position {
        line: u32::try_from(span.start.line()).unwrap_or(u32::MAX),
        column: u32::try_from(span.start.col() + 1).unwrap_or(u32::MAX),
    }
}

fn syntax(error: &ScanError) -> Box<Fault> {
    let mark = *error.marker();
    let at = position(Span::empty(mark));
    let fault = Fault::new(Code::Syntax, at, "the file is not YAML").found(error.info());
    Box::new(match error.info() {
        info if info.contains("tab") => fault.hint("indent with spaces; YAML takes no tabs"),
        info if info.contains("flow") || info.contains('{') => {
            fault.hint("put a text that begins with {{ in quotes")
        }
        _ => fault
            .hint("look at the indentation and the quotes of this line and of the one before it"),
    })
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Read<Marked> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            let at = position(span);
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(Box::new(
                        Fault::new(Code::Syntax, at, "the file holds a second document")
                            .expected("one document")
                            .hint("put it in a file of its own"),
                    ));
                }
                Event::DocumentStart(_) => {}
                event => root = Some(self.value(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or(Marked { at: Position { line: 1, column: 1 }, kind: Kind::Null }))
    }

    fn count(&mut self, more: usize, at: Position) -> Read<()> {
        self.values = self.values.saturating_add(more);
        if self.values > VALUES_MAX {
            return Err(Box::new(
                Fault::new(Code::FileLimit, at, "the file holds too many values")
                    .expected(format!("at most {VALUES_MAX}, those that aliases repeat included")),
            ));
        }
        Ok(())
    }

    fn value(&mut self, event: Event<'a>, span: Span, depth: usize) -> Read<Marked> {
        let at = position(span);
        if depth > DEPTH_MAX {
            return Err(Box::new(
                Fault::new(Code::FileLimit, at, "the file is nested too deeply")
                    .expected(format!("at most {DEPTH_MAX} levels")),
            ));
        }
        let before = self.values;
        self.count(1, at)?;
        let (anchor, kind) = match event {
            Event::Alias(anchor) => return self.alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = tag.is_some_and(|tag| tag.suffix == "str");
                (anchor, scalar(&text, style, quoted))
            }
            Event::SequenceStart(anchor, _) => (anchor, self.list(depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.map(depth)?),
            _ => (0, Kind::Null),
        };
        let value = Marked { at, kind };
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), self.values - before));
        }
        Ok(value)
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Read<Marked> {
        let Some((value, size)) = self.anchors.get(&anchor) else {
            return Err(Box::new(Fault::new(
                Code::Syntax,
                at,
                "an alias stands within what it repeats",
            )));
        };
        let (size, value) = (*size, value.clone());
        self.count(size, at)?;
        Ok(value)
    }

    fn list(&mut self, depth: usize) -> Read<Kind> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Kind::List(values)),
                (event, span) => values.push(self.value(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Kind> {
        let mut entries = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        loop {
            let (key, at) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Kind::Map(entries)),
                (Event::Scalar(key, ..), span) => (key.into_owned(), position(span)),
                (_, span) => {
                    return Err(Box::new(
                        Fault::new(Code::Syntax, position(span), "a key is not a plain text")
                            .hint("put a text that begins with {{ or * in quotes"),
                    ));
                }
            };
            let (event, span) = self.next()?;
            let value = self.value(event, span, depth + 1)?;
            match seen.get(&key) {
                Some(first) => self.doubled.push(doubled(&key, at, *first)),
                None => {
                    seen.insert(key.clone(), at);
                    entries.push(Entry { key, at, value });
                }
            }
        }
    }
}

fn doubled(key: &str, at: Position, first: Position) -> Fault {
    Fault::new(Code::DuplicateKey, at, format!("the key {key:?} stands twice"))
        .found(key)
        .expected("each key once")
        .hint(format!("the first one is in line {}", first.line))
}

fn scalar(text: &str, style: ScalarStyle, is_text: bool) -> Kind {
    if style != ScalarStyle::Plain || is_text {
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
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix)
            .filter(|digits| digits.chars().all(|digit| digit.is_digit(radix)))
            .and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number.into());
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric =
        |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | 'e' | 'E' | '+' | '-');
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        || !digits.chars().all(numeric)
    {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    plain
        .parse::<i64>()
        .map(Number::from)
        .ok()
        .or_else(|| plain.parse::<u64>().map(Number::from).ok())
        .or_else(|| plain.parse::<f64>().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        parse(text).expect("yaml").to_json()
    }

    #[test]
    fn scalars_are_those_of_the_core_schema() {
        assert_eq!(
            json("[1.0.0, 1.5, -3, 0x1f, yes, true, ~, '7', 1e3, .5, a-1]"),
            serde_json::json!(["1.0.0", 1.5, -3, 31, "yes", true, null, "7", 1000.0, 0.5, "a-1"])
        );
    }

    #[test]
    fn every_value_and_key_knows_its_place() {
        let root = parse("a: 1\nb:\n  - x\n  - c: 2\n").expect("yaml");
        let path = Path::default().join("b").join(1).join("c");
        assert_eq!(root.find(&path).at, Position { line: 4, column: 8 });
        assert_eq!(path.to_string(), "b[1].c");
    }

    #[test]
    fn doubled_keys_are_all_named_with_their_first_place() {
        let faults = parse("a: 1\nb: 2\na: 3\nb: 4\n").expect_err("doubled keys");
        assert_eq!(faults.len(), 2);
        let first = faults.first().expect("a fault");
        assert_eq!((first.code, first.at.line), (Code::DuplicateKey, 3));
    }

    #[test]
    fn aliases_repeat_a_value_but_cannot_explode() {
        assert_eq!(json("a: &x [1]\nb: *x\n"), serde_json::json!({"a": [1], "b": [1]}));
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let list = vec![format!("*a{}", level - 1); 10].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        let faults = parse(&bomb).expect_err("a bomb");
        assert_eq!(faults.first().map(|fault| fault.code), Some(Code::FileLimit));
    }

    #[test]
    fn depth_size_and_second_documents_are_refused() {
        let code = |text: &str| parse(text).expect_err("a fault").first().map(|fault| fault.code);
        assert_eq!(code(&"[".repeat(40)), Some(Code::FileLimit));
        assert!(code(&"[".repeat(100_000)).is_some());
        assert_eq!(code(&" ".repeat(FILE_BYTES_MAX + 1)), Some(Code::FileLimit));
        assert_eq!(code("a: 1\n---\nb: 2\n"), Some(Code::Syntax));
        assert_eq!(code("a: [1\n"), Some(Code::Syntax));
        assert_eq!(code("a: {{ git.sha }}\n"), Some(Code::Syntax));
    }
}

//! A file as values that know their place.

use serde_json::{Map, Value};

use super::error::{Code, Error, Place, cut};

/// A value of a file.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a> {
    /// The file.
    file: &'a str,
    /// The way from the file's root to this.
    place: String,
    value: &'a Value,
}

/// Reads JSON.
pub(crate) fn json(file: &str, bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        let place = Place::Column(error.line(), error.column());
        Error::malformed(file, place, format!("is no JSON: {}", cut(text)))
    })
}

/// Reads TOML.
pub(crate) fn toml(file: &str, bytes: &[u8]) -> Result<Value, Error> {
    let text = text(file, bytes)?;
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let place = before.map_or(Place::Whole, |before| {
            let last = before.rsplit('\n').next().unwrap_or_default();
            Place::Column(before.matches('\n').count() + 1, last.chars().count() + 1)
        });
        Error::malformed(file, place, format!("is no TOML: {}", cut(error.message())))
    })
}

/// Reads UTF-8.
pub(crate) fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::malformed(file, Place::Line(line), "is no UTF-8")
    })
}

impl<'a> Node<'a> {
    /// The root of a file.
    pub(crate) fn root(file: &'a str, value: &'a Value) -> Self {
        Self { file, place: String::new(), value }
    }

    /// A refusal of this value.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::malformed(self.file, Place::Entry(self.place.clone()), message)
    }

    /// A refusal of the version of a form.
    pub(crate) fn version(&self, found: &str, expected: &str) -> Error {
        let place = Place::Entry(self.place.clone());
        let message = format!("version {:?} is not read", cut(found));
        Error::new(Code::Version, self.file, place, message).expected(expected)
    }

    /// The value of a key; nothing where it is missing or null.
    pub(crate) fn get(&self, key: &str) -> Option<Node<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.below(key, value))
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<Node<'a>, Error> {
        self.get(key).ok_or_else(|| self.error(format!("has no `{key}`")))
    }

    /// The text of a key that must be there.
    pub(crate) fn need_text(&self, key: &str) -> Result<&'a str, Error> {
        self.need(key)?.text()
    }

    /// The text of a key, where there is one.
    pub(crate) fn get_text(&self, key: &str) -> Result<Option<&'a str>, Error> {
        self.get(key).map(|node| node.text()).transpose()
    }

    /// The text of a key; nothing where it is missing or of another type.
    pub(crate) fn try_text(&self, key: &str) -> Option<&'a str> {
        self.value.get(key).and_then(Value::as_str)
    }

    /// Whether a key is true.
    pub(crate) fn is(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The value as a text.
    pub(crate) fn text(&self) -> Result<&'a str, Error> {
        self.value.as_str().ok_or_else(|| self.error("is no text"))
    }

    /// The value as it is.
    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The entries of an object that may be missing.
    pub(crate) fn entries(&self, key: &str) -> Result<Vec<(&'a str, Node<'a>)>, Error> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        node.map()
    }

    /// The entries of this object.
    pub(crate) fn map(&self) -> Result<Vec<(&'a str, Node<'a>)>, Error> {
        let map: &Map<_, _> = self.value.as_object().ok_or_else(|| self.error("is no object"))?;
        Ok(map.iter().map(|(key, value)| (key.as_str(), self.below(key, value))).collect())
    }

    /// The values of a list that may be missing.
    pub(crate) fn items(&self, key: &str) -> Result<Vec<Node<'a>>, Error> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        let list = node.value.as_array().ok_or_else(|| node.error("is no list"))?;
        Ok(list.iter().enumerate().map(|(index, value)| node.at(index, value)).collect())
    }

    /// Another value at this place.
    pub(crate) fn with(&self, value: &'a Value) -> Self {
        Self { value, ..self.clone() }
    }

    fn below(&self, key: &str, value: &'a Value) -> Self {
        let key = cut(key);
        let plain = key.chars().all(|char| char.is_alphanumeric() || "-_".contains(char));
        let place = match (plain, self.place.is_empty()) {
            (true, true) => key,
            (true, false) => format!("{}.{key}", self.place),
            (false, _) => format!("{}[{key:?}]", self.place),
        };
        Self { file: self.file, place, value }
    }

    fn at(&self, index: usize, value: &'a Value) -> Self {
        Self { file: self.file, place: format!("{}[{index}]", self.place), value }
    }
}

//! Makes values of our types from a tree of YAML, by serde, so that a fault has its place.
//!
//! Types refuse unknown keys and missing ones by themselves; what they say is turned into a [`Fault`]
//! at the key or value that it is about.

use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::fault::{Code, Fault, Position};
use super::yaml::{Entry, Kind, Node};

/// Makes a value of a tree.
pub fn decode<'a, T: serde::Deserialize<'a>>(root: &'a Node) -> Result<T, Fault> {
    T::deserialize(root).map_err(|error| error.fault)
}

/// A fault that may not know its place yet.
#[derive(Debug)]
pub struct Error {
    fault: Fault,
    placed: bool,
}

impl Error {
    fn new(fault: Fault) -> Self {
        Self { fault, placed: false }
    }

    /// Gives the fault a place, where a part within has not.
    fn at(mut self, at: Position) -> Self {
        if !self.placed {
            self.fault.at = at;
            self.placed = true;
        }
        self
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&self.fault, f)
    }
}

impl std::error::Error for Error {}

fn fault(code: Code, message: impl Into<String>) -> Fault {
    Fault::new(code, Position::START, message)
}

impl de::Error for Error {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(fault(Code::InvalidValue, message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_value(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let fault = fault(Code::InvalidValue, "the value is not what its key takes");
        Self::new(fault.found(found.to_string()).expected(expected.to_string()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let fault = fault(Code::InvalidValue, "the value is not one that its key takes");
        Self::new(fault.among(variant, expected.iter().copied()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let fault = fault(Code::UnknownKey, format!("there is no key {field:?} here"));
        Self::new(fault.among(field, expected.iter().copied()))
    }

    fn missing_field(field: &'static str) -> Self {
        let fault = fault(Code::MissingKey, format!("the key {field:?} is missing"));
        Self::new(fault.expected(field))
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = match &self.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Text(text) => visitor.visit_borrowed_str(text),
            Kind::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => visitor.visit_u64(whole),
                (_, Some(whole), _) => visitor.visit_i64(whole),
                (.., broken) => visitor.visit_f64(broken.unwrap_or(f64::NAN)),
            },
            Kind::List(nodes) => visitor.visit_seq(List(nodes.iter())),
            Kind::Map(entries) => visitor.visit_map(Map { entries: entries.iter(), value: None }),
        };
        value.map_err(|error| error.at(self.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.kind {
            Kind::Text(text) => {
                let text: StrDeserializer<'de, Error> = text.as_str().into_deserializer();
                visitor.visit_enum(text).map_err(|error| error.at(self.at))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct List<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.0
            .next()
            .map(|node| seed.deserialize(node).map_err(|error| error.at(node.at)))
            .transpose()
    }
}

struct Map<'de> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'de, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(node) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(node).map_err(|error| error.at(node.at))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::config::yaml::parse;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default)]
        colour: Option<Colour>,
        #[serde(default)]
        counts: BTreeMap<String, Vec<u32>>,
    }

    fn wrong(text: &str) -> (Code, u32, u32, Option<String>) {
        let root = parse(text).unwrap();
        let fault = decode::<Thing>(&root).unwrap_err();
        (fault.code, fault.at.line, fault.at.column, fault.hint)
    }

    #[test]
    fn a_fault_is_placed_at_the_key_or_value_that_it_is_about() {
        assert_eq!(wrong("name: [a]\n").0, Code::InvalidValue);
        assert_eq!(wrong("name: [a]\n").2, 7);
        let near = Some("did you mean \"colour\"?".to_owned());
        assert_eq!(wrong("name: a\ncolor: red\n"), (Code::UnknownKey, 2, 1, near));
        let near = Some("did you mean \"green\"?".to_owned());
        assert_eq!(wrong("name: a\ncolour: gren\n"), (Code::InvalidValue, 2, 9, near));
        assert_eq!(wrong("name: a\ncounts:\n  a: [1, -2]\n"), (Code::InvalidValue, 3, 10, None));
        assert_eq!(wrong("counts: {}\n"), (Code::MissingKey, 1, 1, None));
    }

    #[test]
    fn what_is_right_is_read() {
        let root = parse("name: a\ncolour: red\ncounts: {x: [1, 2]}\n").unwrap();
        let thing: Thing = decode(&root).unwrap();
        assert_eq!((thing.name.as_str(), thing.counts.len()), ("a", 1));
        assert!(matches!(thing.colour, Some(Colour::Red)));
        let root = parse("name: a\ncolour: green\n").unwrap();
        assert!(matches!(decode::<Thing>(&root).unwrap().colour, Some(Colour::Green)));
    }
}

//! YAML to be written: a tree in a fixed order, as text that YAML 1.1 and 1.2 read alike.

use std::fmt::Write as _;

use serde_json::Value;

/// Spaces to a level.
const INDENT: usize = 2;

/// A value.
pub(super) enum Node {
    /// A scalar, as it is written.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.into_iter().map(|(key, node)| (key.to_owned(), node)).collect())
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Scalar(quoted(text))
    }

    pub(super) fn whole(number: u64) -> Self {
        Self::Scalar(number.to_string())
    }

    pub(super) fn truth(value: bool) -> Self {
        Self::Scalar(value.to_string())
    }

    /// A number written out: YAML 1.1 takes `1e-7` for a text.
    pub(super) fn number(number: f64) -> Self {
        let text = format!("{number}");
        Self::Scalar(if text.contains('.') { text } else { format!("{text}.0") })
    }

    pub(super) fn json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Scalar("null".to_owned()),
            Value::Bool(value) => Self::truth(*value),
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(broken) => Self::number(broken),
                None => Self::Scalar(number.to_string()),
            },
            Value::String(text) => Self::text(text),
            Value::Array(values) => Self::List(values.iter().map(Self::json).collect()),
            Value::Object(entries) => {
                let mut entries: Vec<(String, Self)> =
                    entries.iter().map(|(key, value)| (key.clone(), Self::json(value))).collect();
                entries.sort_by(|one, other| one.0.cmp(&other.0));
                Self::Map(entries)
            }
        }
    }

    /// The whole text.
    pub(super) fn text_of(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, indent: usize) {
        let pad = " ".repeat(indent);
        match self {
            Self::Scalar(scalar) => text.push_str(scalar),
            Self::List(nodes) => {
                for node in nodes {
                    text.push_str(&pad);
                    text.push_str("- ");
                    node.write_item(text, indent + INDENT);
                }
            }
            Self::Map(entries) => {
                for (key, node) in entries {
                    text.push_str(&pad);
                    node.write_entry(text, key, indent);
                }
            }
        }
    }

    /// After a dash: a map begins on the same line.
    fn write_item(&self, text: &mut String, indent: usize) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (place, (key, node)) in entries.iter().enumerate() {
                    if place > 0 {
                        text.push_str(&" ".repeat(indent));
                    }
                    node.write_entry(text, key, indent);
                }
            }
            Self::List(nodes) if !nodes.is_empty() => {
                text.push('\n');
                self.write(text, indent);
            }
            _ => text.push_str(&format!("{}\n", self.inline())),
        }
    }

    fn write_entry(&self, text: &mut String, key: &str, indent: usize) {
        let key = quoted(key);
        match self {
            Self::List(nodes) if !nodes.is_empty() => {
                let _ = writeln!(text, "{key}:");
                self.write(text, indent);
            }
            Self::Map(entries) if !entries.is_empty() => {
                let _ = writeln!(text, "{key}:");
                self.write(text, indent + INDENT);
            }
            _ => {
                let _ = writeln!(text, "{key}: {}", self.inline());
            }
        }
    }

    fn inline(&self) -> &str {
        match self {
            Self::Scalar(scalar) => scalar,
            Self::List(_) => "[]",
            Self::Map(_) => "{}",
        }
    }
}

/// A text without quotes where no reader of YAML could take it for anything else.
fn quoted(text: &str) -> String {
    let plain = |one: char| one.is_ascii_alphanumeric() || "-_./".contains(one);
    let word = text.to_ascii_lowercase();
    let taken =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&word.as_str());
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    if begins && !taken && text.chars().all(plain) {
        return text.to_owned();
    }
    // JSON's quotes are YAML's double quotes.
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{decode, yaml};

    #[test]
    fn what_could_be_taken_for_something_else_is_quoted() {
        for text in
            ["yes", "No", "1.5", "", "a: b", "- a", "#a", "1e3", "0x1", "~", "a\nb", "12:30:45"]
        {
            assert!(quoted(text).starts_with('"'), "{text}");
        }
        assert_eq!(quoted("os.environ/KEY"), "os.environ/KEY");
    }

    #[test]
    fn small_numbers_are_written_out() {
        let written = |number| Node::number(number).text_of();
        assert_eq!((written(1e-7).as_str(), written(2.0).as_str()), ("0.0000001", "2.0"));
    }

    fn value() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            (0u32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 1e6 + 0.5e-7)),
            "[ -~äß\n\t]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z0-9 :#]{1,6}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back(value in value()) {
            let text = Node::map([("root", Node::json(&value))]).text_of();
            let root = yaml::parse(&text).unwrap();
            let back: Value = decode::decode(&root).unwrap();
            proptest::prop_assert_eq!(back.get("root").unwrap(), &value, "{}", text);
        }
    }
}

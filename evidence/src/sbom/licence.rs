//! Terms: an SPDX expression where it is one, and else a name.

use serde_json::{Value, json};

/// The longest text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// The terms of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Licence {
    /// An identifier of SPDX' list.
    Id(String),
    /// An expression of several.
    Expression(String),
    /// Words that SPDX does not know.
    Name(String),
}

impl Licence {
    /// What a package says of itself; nothing where it says nothing.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_BYTES_MAX {
            return None;
        }
        if let Some(found) = spdx::license_id(text) {
            return Some(Self::Id(found.name.to_owned()));
        }
        Some(match spdx::Expression::parse(text) {
            Ok(_) => Self::Expression(text.to_owned()),
            Err(_) => Self::Name(text.to_owned()),
        })
    }

    /// As CycloneDX' list `licenses`, which holds either one expression or any other terms.
    pub(crate) fn list_json<'a>(licences: impl IntoIterator<Item = &'a Self>) -> Vec<Value> {
        let licences: Vec<_> = licences.into_iter().collect();
        if let [Self::Expression(expression)] = licences.as_slice() {
            return vec![json!({ "expression": expression })];
        }
        licences
            .into_iter()
            .map(|licence| match licence {
                Self::Id(id) => json!({ "license": { "id": id } }),
                Self::Expression(name) | Self::Name(name) => json!({ "license": { "name": name } }),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_told_from_a_name() {
        let of = |text| Licence::of(text).unwrap();
        assert_eq!(of("MIT"), Licence::Id("MIT".into()));
        assert_eq!(of("(MIT OR Apache-2.0)"), Licence::Expression("(MIT OR Apache-2.0)".into()));
        assert_eq!(of("LicenseRef-ours"), Licence::Expression("LicenseRef-ours".into()));
        assert_eq!(of("SEE LICENSE IN x"), Licence::Name("SEE LICENSE IN x".into()));
        assert_eq!(of("mit OR"), Licence::Name("mit OR".into()));
        assert_eq!(Licence::of(" "), None);
    }

    #[test]
    fn one_expression_stands_alone_and_several_terms_are_a_list() {
        let one = [Licence::of("MIT OR ISC").unwrap()];
        assert_eq!(Licence::list_json(&one), [json!({ "expression": "MIT OR ISC" })]);
        let two = [Licence::of("MIT").unwrap(), Licence::of("MIT OR ISC").unwrap()];
        let names =
            [json!({ "license": { "id": "MIT" } }), json!({ "license": { "name": "MIT OR ISC" } })];
        assert_eq!(Licence::list_json(&two), names);
    }
}

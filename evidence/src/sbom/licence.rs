//! Terms: an SPDX expression where it is one, and else a name.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use spdx::identifiers::LICENSES;
use spdx::{Expression, LicenseItem, ParseMode};

/// The longest text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// Other people's documents name what SPDX has other names for by now.
const FORMER_NAMES: ParseMode =
    ParseMode { allow_deprecated: true, allow_postfix_plus_on_gpl: true, ..ParseMode::STRICT };

/// Every licence and exception that an SPDX expression names, however it is bracketed, as SPDX' list spells
/// them; nothing where the text is none.
pub fn in_expression(text: &str) -> Option<BTreeSet<String>> {
    let expression = Expression::parse_mode(text, FORMER_NAMES).ok()?;
    let mut named = BTreeSet::new();
    for one in expression.requirements() {
        named.insert(one.req.license.to_string());
        named.extend(one.req.addition.as_ref().map(ToString::to_string));
        if let LicenseItem::Spdx { id, .. } = one.req.license {
            named.insert(id.name.to_owned());
            let newer = spdx::gnu_license_id(id.name, false);
            named.extend(newer.filter(|_| id.is_deprecated()).map(|newer| newer.name.to_owned()));
        }
    }
    Some(named)
}

/// A licence's name as SPDX' list spells it, in which upper and lower case are the same; others as they are.
pub fn spelt(name: &str) -> &str {
    let known = LICENSES.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    known.map_or(name, |known| known.name)
}

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
    fn an_expression_names_each_of_its_licences_however_it_is_bracketed() {
        let named = |text| in_expression(text).map(|it| it.into_iter().collect::<Vec<_>>());
        for (text, expected) in [
            ("MIT", &["MIT"] as &[&str]),
            ("(GPL-3.0-only)", &["GPL-3.0-only"]),
            ("((MIT)AND(ISC))", &["ISC", "MIT"]),
            ("MIT and (ISC or Zlib)", &["ISC", "MIT", "Zlib"]),
            ("GPL-3.0", &["GPL-3.0", "GPL-3.0-only"]),
            ("GPL-3.0+", &["GPL-3.0-or-later"]),
            ("Apache-2.0+", &["Apache-2.0", "Apache-2.0+"]),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                &["Classpath-exception-2.0", "GPL-2.0-only"],
            ),
            ("(LicenseRef-ours OR MIT)", &["LicenseRef-ours", "MIT"]),
        ] {
            assert_eq!(named(text).unwrap(), expected, "{text}");
        }
        for text in ["", "(", "Own words", "MIT OR", "(Ours OR MIT)"] {
            assert_eq!(named(text), None, "{text}");
        }
        assert_eq!((spelt("gpl-3.0-ONLY"), spelt("Own")), ("GPL-3.0-only", "Own"));
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

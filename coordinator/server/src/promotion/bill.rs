//! What SBOMs say of licences. Their bytes are a step's, so they are read as hostile.

use std::collections::BTreeSet;

use maestro_evidence::sbom::licence::{in_expression, spelt};
use maestro_evidence::store::ArtifactStore;
use maestro_policies::input::Bills;
use maestro_schemas::digest::Digest;
use serde::Deserialize;

use super::Unproven;

/// The largest SBOM that is read, in bytes.
const BYTES_MAX: u64 = 32 << 20;

/// The most SBOMs of an artifact.
const DOCUMENTS_MAX: usize = 100;

/// The longest name of a licence, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A CycloneDX document, as far as it is read.
#[derive(Debug, Deserialize)]
struct Document {
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Component {
    #[serde(default)]
    licenses: Vec<Choice>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    license: Option<Licence>,
    expression: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Licence {
    id: Option<String>,
    name: Option<String>,
}

/// Reads SBOMs by their digests.
pub(super) async fn read(
    objects: &ArtifactStore,
    documents: &BTreeSet<Digest>,
) -> Result<Bills, Unproven> {
    if documents.len() > DOCUMENTS_MAX {
        let what = format!("{} SBOMs came with it, more than {DOCUMENTS_MAX}", documents.len());
        return Err(Unproven::broken(what));
    }
    let mut bills = Bills::default();
    for digest in documents {
        let bytes = objects.get(*digest, BYTES_MAX).await;
        let bytes = bytes.map_err(|error| Unproven::broken(format!("SBOM {digest}: {error}")))?;
        let unfit = |error| Unproven::broken(format!("{digest} is no CycloneDX document: {error}"));
        add(&mut bills, serde_json::from_slice(&bytes).map_err(unfit)?);
    }
    Ok(bills)
}

fn add(bills: &mut Bills, document: Document) {
    bills.documents += 1;
    let mut waiting = document.components;
    while let Some(component) = waiting.pop() {
        bills.components = bills.components.saturating_add(1);
        let named: Vec<String> = component.licenses.into_iter().flat_map(names).collect();
        if named.is_empty() {
            bills.unlicensed = bills.unlicensed.saturating_add(1);
        }
        bills.licences.extend(named);
        waiting.extend(component.components);
    }
}

/// All that it names: each identifier of what is an expression, as written and as it is called by now, and
/// else the text. What should be an expression and is none counts as each of its words.
fn names(choice: Choice) -> BTreeSet<String> {
    let Choice { license, expression } = choice;
    let terms = license.into_iter().flat_map(|it| [it.id, it.name]).flatten();
    let mut found = BTreeSet::new();
    for text in terms.filter(|text| !text.is_empty()) {
        match in_expression(&text) {
            Some(named) => found.extend(named.into_iter().chain(words(&text))),
            None => found.extend([spelt(&text).to_owned()]),
        }
    }
    if let Some(text) = expression {
        found.extend(in_expression(&text).unwrap_or_default());
        found.extend(words(&text));
    }
    found.into_iter().map(|name| name.chars().take(NAME_CHARS_MAX).collect()).collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let joins = |word: &str| ["AND", "OR", "WITH"].iter().any(|it| word.eq_ignore_ascii_case(it));
    let words = text.split(|letter| !is_of_word(letter));
    words.filter(move |word| !word.is_empty() && !joins(word)).map(|word| spelt(word).to_owned())
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '-' | '.' | '+' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(choice: serde_json::Value) -> Vec<String> {
        names(serde_json::from_value(choice).unwrap()).into_iter().collect()
    }

    #[test]
    fn a_licence_is_found_in_brackets_in_other_letters_and_in_what_cannot_be_read() {
        for written in ["GPL-3.0-only", "(GPL-3.0-only)", "((GPL-3.0-only))", "gpl-3.0-only"] {
            for choice in [
                serde_json::json!({ "expression": written }),
                serde_json::json!({ "license": { "id": written } }),
                serde_json::json!({ "license": { "name": written } }),
                serde_json::json!({ "license": { "id": "", "name": written } }),
            ] {
                assert_eq!(named(choice.clone()), ["GPL-3.0-only"], "{choice}");
            }
        }
        let former = named(serde_json::json!({ "license": { "id": "GPL-3.0+" } }));
        assert_eq!(former, ["GPL-3.0+", "GPL-3.0-or-later"]);
        for expression in [
            "(gpl-3.0-only OR Ours)",
            "Ours/GPL-3.0-only",
            "GPL-3.0-only, Ours",
            "Ours OR (GPL-3.0-only",
        ] {
            let found = named(serde_json::json!({ "expression": expression }));
            assert!(found.contains(&"GPL-3.0-only".to_owned()), "{expression}: {found:?}");
            assert!(found.contains(&"Ours".to_owned()), "{expression}: {found:?}");
        }
    }

    #[test]
    fn every_licence_that_a_component_names_is_found() {
        let document = serde_json::json!({ "components": [
            { "licenses": [{ "license": { "id": "MIT" } }, { "license": { "name": "Own words" } }] },
            { "licenses": [{ "expression": "(Apache-2.0 OR GPL-3.0-only) AND ISC" }] },
            { "components": [{ "licenses": [{ "license": { "name": "BSD-2-Clause OR 0BSD" } }] }] },
        ] });
        let mut bills = Bills::default();
        add(&mut bills, serde_json::from_value(document).unwrap());
        let found: Vec<&str> = bills.licences.iter().map(String::as_str).collect();
        let expected =
            ["0BSD", "Apache-2.0", "BSD-2-Clause", "GPL-3.0-only", "ISC", "MIT", "Own words"];
        assert_eq!(found, expected);
        assert_eq!((bills.documents, bills.components, bills.unlicensed), (1, 4, 1));
    }
}

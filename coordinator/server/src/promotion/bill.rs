//! What SBOMs say of licences. Their bytes are a step's, so they are read as hostile.

use std::collections::BTreeSet;

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

/// An identifier or a name, and each identifier of an expression.
fn names(choice: Choice) -> Vec<String> {
    let text = choice.expression.or_else(|| choice.license.and_then(|it| it.id.or(it.name)));
    let Some(text) = text else { return Vec::new() };
    let cut = |text: &str| text.chars().take(NAME_CHARS_MAX).collect::<String>();
    let is_word = |word: &&str| !word.is_empty() && !matches!(*word, "AND" | "OR" | "WITH");
    let words = text.split([' ', '(', ')']).filter(is_word).map(cut);
    let is_expression = [" AND ", " OR ", " WITH "].iter().any(|it| text.contains(it));
    match is_expression {
        true => words.collect(),
        false => vec![cut(&text)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

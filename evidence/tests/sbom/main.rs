//! Documents of small projects, byte for byte, and what is refused.
//! `UPDATE_GOLDEN=1` writes the files of `golden/` anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that finds something else than it expects is to stop there"
)]

mod cargo;
mod debian;
mod directory;
mod golang;
mod hostile;
mod npm;
mod pnpm;
mod python;
mod whole;

use std::fs;
use std::path::Path;

use maestro_evidence::sbom::{Error, Limits, Sbom, Subject, of_files};
use serde_json::Value;

/// A path and a text.
type Files<'a> = &'a [(&'a str, &'a str)];

fn describe(files: Files<'_>) -> Result<Sbom, Error> {
    describe_as(&Subject::project("given"), files)
}

fn describe_as(subject: &Subject, files: Files<'_>) -> Result<Sbom, Error> {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    of_files(subject, files, Limits::default())
}

fn document(files: Files<'_>) -> Value {
    serde_json::from_slice(&describe(files).unwrap().json).unwrap()
}

fn refusal(files: Files<'_>) -> Error {
    describe(files).unwrap_err()
}

fn golden(name: &str, found: &Sbom) {
    let found = std::str::from_utf8(&found.json).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sbom/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name} differs; UPDATE_GOLDEN=1 writes it anew");
}

/// The component that a purl begins with or whose reference is this.
fn component<'a>(document: &'a Value, reference: &str) -> &'a Value {
    let all = document["components"].as_array().unwrap();
    let found = all.iter().find(|one| one["bom-ref"] == reference);
    found.unwrap_or_else(|| panic!("no {reference} in {document:#}"))
}

/// What a component needs; nothing where that is not told.
fn needs(document: &Value, reference: &str) -> Option<Vec<String>> {
    let all = document["dependencies"].as_array().unwrap();
    let found = all.iter().find(|one| one["ref"] == reference)?;
    let list = found["dependsOn"].as_array().cloned().unwrap_or_default();
    Some(list.iter().map(|one| one.as_str().unwrap().to_owned()).collect())
}

/// The references of all components, in their order.
fn references(document: &Value) -> Vec<&str> {
    let all = document["components"].as_array().unwrap();
    all.iter().map(|one| one["bom-ref"].as_str().unwrap()).collect()
}

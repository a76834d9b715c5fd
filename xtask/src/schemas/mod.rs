//! Writes what others read of our types: JSON Schemas, the OpenAPI document, golden fixtures.

pub mod golden;
mod json;

use crate::checkout;
use crate::error::Error;

/// A file that follows from the types.
pub struct Generated {
    /// The path below the root.
    pub path: String,
    /// The whole file.
    pub text: String,
}

fn generated() -> Result<Vec<Generated>, Error> {
    let mut files = json::all()?;
    files.push(Generated {
        path: "schemas/openapi/maestro.json".to_owned(),
        text: pretty(&maestro_server::api::openapi::document())?,
    });
    Ok(files)
}

/// Writes every generated file.
pub fn write() -> Result<(), Error> {
    for file in generated()? {
        checkout::write(&file.path, file.text.as_bytes())?;
        eprintln!("wrote {}", file.path);
    }
    Ok(())
}

/// Answers whether every generated file is what would be written now, and says which is not.
pub fn check() -> Result<bool, Error> {
    let mut same = true;
    for file in generated()? {
        let stands = checkout::read(&file.path).unwrap_or_default();
        if let Some(line) = first_difference(&stands, &file.text) {
            eprintln!("{}:{line}: differs from the types; run `cargo xtask schemas`", file.path);
            same = false;
        }
    }
    Ok(same)
}

/// The first line, from 1, in which two texts differ.
fn first_difference(one: &str, other: &str) -> Option<usize> {
    if one == other {
        return None;
    }
    let same = one.lines().zip(other.lines()).take_while(|(one, other)| one == other).count();
    Some(same + 1)
}

/// JSON as it is checked in: indented, with a line break at its end.
fn pretty(value: &serde_json::Value) -> Result<String, Error> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|source| Error::Json { what: "a schema", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drift_is_told_by_its_first_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
    }
}

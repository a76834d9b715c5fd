//! Texts of JSON: how free-form values stand in rows.

use maestro_schemas::digest::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// Writes a value that always can be written.
pub(super) fn text<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    serde_json::to_string(value)
}

/// Reads a column back.
pub(super) fn value<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::unreadable(column, error))
}

/// Reads a column back that is null where the value is empty.
pub(super) fn value_or_empty<T: DeserializeOwned + Default>(
    column: &'static str,
    text: Option<&str>,
) -> Result<T, Error> {
    text.map_or_else(|| Ok(T::default()), |text| value(column, text))
}

/// Reads a column back that may be null.
pub(super) fn value_if_any<T: DeserializeOwned>(
    column: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, Error> {
    text.map(|text| value(column, text)).transpose()
}

/// Reads the 32 bytes of a digest.
pub(super) fn digest(column: &'static str, bytes: &[u8]) -> Result<Digest, Error> {
    <[u8; 32]>::try_from(bytes)
        .map(Digest::from_bytes)
        .map_err(|_| Error::unreadable(column, hex::encode(bytes)))
}

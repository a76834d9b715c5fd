//! Numbers between Rust, where ids and counts are unsigned, and Postgres, where nothing is.

use super::Error;

/// A number that does not fit its column.
#[derive(Debug, thiserror::Error)]
#[error("{found} is more than {column} can hold")]
pub(super) struct TooLarge {
    found: u64,
    column: &'static str,
}

/// For a column of type `int`.
pub(super) fn int(column: &'static str, value: u32) -> Result<i32, TooLarge> {
    i32::try_from(value).map_err(|_| TooLarge { found: u64::from(value), column })
}

/// For a column of type `bigint`.
pub(super) fn bigint(column: &'static str, value: u64) -> Result<i64, TooLarge> {
    i64::try_from(value).map_err(|_| TooLarge { found: value, column })
}

/// From a column that holds no negative numbers.
pub(super) fn unsigned<From, To>(column: &'static str, value: From) -> Result<To, Error>
where
    From: Copy + std::fmt::Display,
    To: TryFrom<From>,
{
    To::try_from(value).map_err(|_| Error::unreadable(column, value))
}

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

/// For what is looked for in a column of type `int`: no row has a larger number than it holds, so that
/// the largest stands for those beyond.
pub(super) fn int_at_most(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// The same for a column of type `bigint`.
pub(super) fn bigint_at_most(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// From a column that holds no negative numbers.
pub(super) fn unsigned<From, To>(column: &'static str, value: From) -> Result<To, Error>
where
    From: Copy + std::fmt::Display,
    To: TryFrom<From>,
{
    To::try_from(value).map_err(|_| Error::unreadable(column, value))
}

//! Values that authors write in more than one way: durations, sizes, one name or several.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text, or a number or truth value that stands for its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// One name or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Names {
    /// One.
    One(String),
    /// Several, or none.
    Several(Vec<String>),
}

impl Names {
    /// The names, in order.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// A length of time: `500ms`, `90s`, `10m`, `1h30m`, `2d`; a number is seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Duration {
    /// Seconds.
    Seconds(#[schemars(range(min = 0))] f64),
    /// Numbers with units.
    Text(String),
}

/// Why a text or number is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no length of time; expected numbers with ms, s, m, h or d, as 90s or 1h30m")]
pub struct InvalidDuration {
    /// What was given, cut to 64 characters.
    pub found: String,
}

impl Duration {
    /// The length in milliseconds.
    pub fn as_millis(&self) -> Result<u64, InvalidDuration> {
        match self {
            Self::Seconds(seconds) => whole(seconds * 1000.0).ok_or_else(|| seconds.to_string()),
            Self::Text(text) => millis(text.trim()).ok_or_else(|| text.chars().take(64).collect()),
        }
        .map_err(|found| InvalidDuration { found })
    }
}

/// A number of units as a whole number, where it is none that is negative or beyond 2^53.
fn whole(value: f64) -> Option<u64> {
    let rounded = value.round();
    (0.0..=9_007_199_254_740_992.0).contains(&rounded).then_some(rounded as u64)
}

fn millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, behind) = rest.split_at(unit_at);
        let unit_end =
            behind.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, after) = behind.split_at(unit_end);
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total = total.checked_add(whole(number.parse::<f64>().ok()? * factor)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// An amount of memory: `512MiB`, `2GiB`; a number is mebibytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Memory {
    /// Mebibytes.
    Mebibytes(u32),
    /// A number with its unit.
    Text(String),
}

impl Memory {
    /// The amount in mebibytes, rounded up; absent where the text is no amount.
    pub fn as_mebibytes(&self) -> Option<u32> {
        let text = match self {
            Self::Mebibytes(amount) => return Some(*amount),
            Self::Text(text) => text,
        };
        let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit.trim() {
            "MiB" => 1.0,
            "GiB" => 1024.0,
            "TiB" => 1024.0 * 1024.0,
            _ => return None,
        };
        whole((number.parse::<f64>().ok()? * factor).ceil())
            .and_then(|amount| u32::try_from(amount).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<u64> {
        Duration::Text(text.into()).as_millis().ok()
    }

    #[test]
    fn durations_add_up_and_numbers_are_seconds() {
        assert_eq!(parse("1h30m"), Some(5_400_000));
        assert_eq!(parse("500ms"), Some(500));
        assert_eq!(parse("1.5s"), Some(1_500));
        assert_eq!(Duration::Seconds(0.25).as_millis(), Ok(250));
    }

    #[test]
    fn what_has_no_unit_or_an_unknown_one_is_refused() {
        for text in ["", "90", "5 minutes", "-1s", "1w", "s", "1..2s", "99999999999999999d"] {
            assert_eq!(parse(text), None, "{text} was taken for a duration");
        }
        assert!(Duration::Seconds(-1.0).as_millis().is_err());
        assert!(Duration::Seconds(f64::NAN).as_millis().is_err());
    }

    #[test]
    fn memory_is_rounded_up_to_mebibytes() {
        assert_eq!(Memory::Text("1.5GiB".into()).as_mebibytes(), Some(1536));
        assert_eq!(Memory::Mebibytes(7).as_mebibytes(), Some(7));
        assert_eq!(Memory::Text("7MB".into()).as_mebibytes(), None);
    }
}

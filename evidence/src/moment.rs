//! Points in time as evidence writes them: RFC 3339 in UTC with milliseconds, in one form.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, in milliseconds since 1970; at most the year 9999.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Moment(u64);

/// The last millisecond of the year 9999.
const MOMENT_MAX: u64 = 253_402_300_799_999;

/// Why a text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no time; expected one as 2026-01-31T09:30:00.000Z")]
pub struct InvalidMoment {
    found: String,
}

impl Moment {
    /// So many milliseconds after the beginning of 1970.
    pub const fn from_ms(ms: u64) -> Self {
        Self(if ms > MOMENT_MAX { MOMENT_MAX } else { ms })
    }

    /// Now, by this machine's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self::from_ms(u64::try_from(since.as_millis()).unwrap_or(MOMENT_MAX))
    }

    /// Milliseconds since 1970.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// So much later.
    pub fn plus(self, duration: std::time::Duration) -> Self {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(MOMENT_MAX);
        Self::from_ms(self.0.saturating_add(ms))
    }

    fn parts(self) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(i64::try_from(self.0 / 1_000).ok()?).ok()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.parts().and_then(|at| at.format(&Rfc3339).ok()).ok_or(fmt::Error)?;
        write!(f, "{}.{:03}Z", text.trim_end_matches('Z'), self.0 % 1_000)
    }
}

impl FromStr for Moment {
    type Err = InvalidMoment;

    fn from_str(text: &str) -> Result<Self, InvalidMoment> {
        let read = || {
            let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
            let ms = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?;
            Some(Self::from_ms(ms)).filter(|moment| moment.to_string() == text)
        };
        read().ok_or_else(|| InvalidMoment { found: text.chars().take(40).collect() })
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

impl TryFrom<String> for Moment {
    type Error = InvalidMoment;

    fn try_from(text: String) -> Result<Self, InvalidMoment> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_one_form() {
        let moment = Moment::from_ms(1_795_000_000_007);
        assert_eq!(moment.to_string(), "2026-11-18T11:06:40.007Z");
        assert_eq!("2026-11-18T11:06:40.007Z".parse(), Ok(moment));
        for other in ["2026-11-18T11:06:40Z", "2026-11-18T12:06:40.007+01:00", "now", ""] {
            assert!(other.parse::<Moment>().is_err(), "{other:?}");
        }
        assert_eq!(Moment::from_ms(u64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}

//! Times for people: `0.4s`, `12s`, `3m 04s`, `2h 05m`, `3d 04h`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time in milliseconds, in as few signs as say enough.
pub fn short(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..10 => format!("{}.{}s", seconds, ms % 1_000 / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// Whole seconds below ten minutes, as in "63 s of work in 34 s".
pub fn spoken(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..600_000 => format!("{} s", ms.saturating_add(500) / 1_000),
        _ => short(ms),
    }
}

/// Milliseconds since 1970, by this machine's clock.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Reads `500ms`, `90`, `90s`, `10m`, `1.5h`, `7d`, `2w`: what `--wait-timeout` and `--since` take.
pub fn parse(text: &str) -> Result<Duration, String> {
    let refuse = || {
        format!("{text:?} is not a time; expected a number and ms, s, m, h, d or w, as 90s or 7d")
    };
    let digits =
        text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "w" => 604_800.0,
        _ => return Err(refuse()),
    };
    let number: f64 = number.parse().map_err(|_| refuse())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_fits() {
        assert_eq!(short(0), "0.0s");
        assert_eq!(short(9_999), "9.9s");
        assert_eq!(short(34_400), "34s");
        assert_eq!(short(184_000), "3m 04s");
        assert_eq!(short(7_500_000), "2h 05m");
        assert_eq!(short(273_600_000), "3d 04h");
        assert_eq!(spoken(340), "340 ms");
        assert_eq!(spoken(63_200), "63 s");
    }

    #[test]
    fn a_limit_is_read_with_its_unit_and_nothing_else() {
        assert_eq!(parse("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse("2w"), parse("14d"));
        for text in ["", "s", "-1s", "1y", "1D", "1e999", "99999999999999999999999h"] {
            assert!(parse(text).is_err(), "{text:?} was taken for a time");
        }
    }
}

//! Numbers as they are told: to so many decimal places.
//!
//! A number of few digits is read from JSON exactly as it was, so that a decision that is repeated
//! from stored facts gives the same bytes (`tests/decide.rs`).

/// The number to so many places, at most nine.
pub fn rounded(value: f64, places: u8) -> f64 {
    let factor = 10f64.powi(i32::from(places.min(9)));
    let scaled = value * factor;
    if scaled.is_finite() { scaled.round() / factor } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_rounded_number_survives_json(value in 0.0f64..1e6, places in 0u8..10) {
            let once = rounded(value, places);
            let text = serde_json::to_string(&once).unwrap();
            proptest::prop_assert_eq!(serde_json::from_str::<f64>(&text).unwrap(), once);
            proptest::prop_assert_eq!(rounded(once, places), once);
        }
    }
}

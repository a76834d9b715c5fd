//! Intervals: Wilson's for a share of correct answers, the normal one for a mean of paired
//! differences.

/// How sure an interval or a bound is; more than a half, less than 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence(f64);

impl Confidence {
    /// 95 %.
    pub const USUAL: Self = Self(0.95);

    /// A share from 0.5 to 0.9999.
    pub fn new(share: f64) -> Option<Self> {
        (0.5..=0.9999).contains(&share).then_some(Self(share))
    }

    /// The share.
    pub fn share(self) -> f64 {
        self.0
    }

    /// Standard errors of a one-sided bound.
    pub fn one_sided(self) -> f64 {
        quantile(self.0)
    }

    /// Standard errors on either side of an interval.
    pub fn two_sided(self) -> f64 {
        quantile(f64::midpoint(1.0, self.0))
    }
}

/// Both ends of the interval for a share of `count` answers (Wilson, "Probable inference, the law of
/// succession, and statistical inference", JASA 22, 1927).
pub fn wilson(share: f64, count: f64, confidence: Confidence) -> (f64, f64) {
    let z = confidence.two_sided();
    let square = z * z / count;
    let centre = (share + square / 2.0) / (1.0 + square);
    let half = z / (1.0 + square) * (share * (1.0 - share) / count + square / (4.0 * count)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// The standard error of a mean, from the sums of the values and of their squares. For differences
/// of two policies on the same questions it is the paired standard error (Miller, "Adding Error
/// Bars to Evals", arXiv:2411.00640, section 4).
pub fn standard_error(sum: f64, squares: f64, count: f64) -> f64 {
    let spread = (squares - sum * sum / count).max(0.0);
    (spread / (count - 1.0).max(1.0) / count).sqrt()
}

/// The standard normal distribution's quantile by Acklam's rational approximation, whose relative
/// error is below 1.2e-9.
fn quantile(share: f64) -> f64 {
    const TAIL: f64 = 0.02425;
    let near = |terms: &[f64], at: f64| terms.iter().fold(0.0, |sum, term| sum * at + term);
    if share > 1.0 - TAIL {
        let at = (-2.0 * (1.0 - share).ln()).sqrt();
        return -near(&TAIL_ABOVE, at) / near(&TAIL_BELOW, at);
    }
    let at = share - 0.5;
    let square = at * at;
    at * near(&MIDDLE_ABOVE, square) / near(&MIDDLE_BELOW, square)
}

const MIDDLE_ABOVE: [f64; 6] = [
    -3.969683028665376e1,
    2.209460984245205e2,
    -2.759285104469687e2,
    1.383_577_518_672_69e2,
    -3.066479806614716e1,
    2.506628277459239,
];
const MIDDLE_BELOW: [f64; 6] = [
    -5.447609879822406e1,
    1.615858368580409e2,
    -1.556989798598866e2,
    6.680131188771972e1,
    -1.328068155288572e1,
    1.0,
];
const TAIL_ABOVE: [f64; 6] = [
    -7.784894002430293e-3,
    -3.223964580411365e-1,
    -2.400758277671838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
];
const TAIL_BELOW: [f64; 5] =
    [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];

#[cfg(test)]
mod tests {
    use super::*;

    fn sure(share: f64) -> Confidence {
        Confidence::new(share).unwrap()
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (share, expected) in
            [(0.5, 0.0), (0.9, 1.281_551_6), (0.95, 1.644_853_6), (0.99, 2.326_347_9)]
        {
            assert!((sure(share).one_sided() - expected).abs() < 1e-6, "{share}");
        }
        assert!((Confidence::USUAL.two_sided() - 1.959_964).abs() < 1e-6);
        assert_eq!(Confidence::new(0.3), None);
        assert_eq!(Confidence::new(f64::NAN), None);
    }

    #[test]
    fn wilsons_interval_is_that_of_the_text_books() {
        // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
        let (low, high) = wilson(81.0 / 263.0, 263.0, Confidence::USUAL);
        assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5, "{low} {high}");
    }

    #[test]
    fn a_standard_error_is_that_of_the_values_themselves() {
        // 1, 0, -1, 1: mean 1/4, sample variance 11/12.
        assert!((standard_error(1.0, 3.0, 4.0) - (11.0_f64 / 48.0).sqrt()).abs() < 1e-12);
        assert_eq!(standard_error(1.0, 1.0, 1.0), 0.0);
    }

    proptest::proptest! {
        #[test]
        fn an_interval_holds_its_share_and_widens_with_confidence(
            right in 0u32..500, more in 1u32..500, share in 0.5f64..0.99,
        ) {
            let count = f64::from(right + more);
            let found = f64::from(right) / count;
            let (low, high) = wilson(found, count, sure(share));
            let (lower, higher) = wilson(found, count, sure(share + 0.005));
            proptest::prop_assert!(0.0 <= low && low <= found + 1e-9);
            proptest::prop_assert!(found <= high + 1e-9 && high <= 1.0);
            proptest::prop_assert!(lower <= low + 1e-12 && high <= higher + 1e-12);
        }
    }
}

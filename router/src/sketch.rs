//! Quantiles of positive numbers, the older counting for less, in bounded memory.
//!
//! A histogram over buckets whose edges grow by a constant factor, so that a quantile is off by no more
//! than a few percent (as in DDSketch, Masson and others, VLDB 2019). What is new weighs more in place
//! of what is old weighing less (forward decay, Cormode and others, ICDE 2009), so that adding touches
//! one bucket.

/// Buckets to a doubling: an edge is 1.044 times the one before it.
const PER_DOUBLING: f64 = 16.0;
/// The largest number that is told from larger ones is 2 to this power.
const DOUBLINGS: usize = 28;
const BUCKETS: usize = DOUBLINGS * PER_DOUBLING as usize + 1;
/// Weights are scaled down when a new one has grown to 2 to this power.
const POWER_MAX: f64 = 64.0;

/// The histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Sketch {
    /// Empty before the first number.
    buckets: Vec<f64>,
    weight: f64,
    sum: f64,
    half_life_ms: f64,
    /// Where a new number weighs 1.
    landmark_ms: u64,
}

impl Sketch {
    /// An empty one, in which a number counts half after this time.
    pub fn new(half_life_ms: u64) -> Self {
        let half_life_ms = half_life_ms.max(1) as f64;
        Self { buckets: Vec::new(), weight: 0.0, sum: 0.0, half_life_ms, landmark_ms: 0 }
    }

    /// Adds a number. One below 1 counts as 1.
    pub fn add(&mut self, value: f64, at_ms: u64) {
        if self.buckets.is_empty() {
            self.buckets = vec![0.0; BUCKETS];
            self.landmark_ms = at_ms;
        }
        // A time before the landmark is one that was told late.
        let power = at_ms.saturating_sub(self.landmark_ms) as f64 / self.half_life_ms;
        if power > POWER_MAX {
            self.scale((-power).exp2());
            self.landmark_ms = at_ms;
            return self.add(value, at_ms);
        }
        let weight = power.exp2();
        let index = (value.max(1.0).log2() * PER_DOUBLING) as usize;
        if let Some(bucket) = self.buckets.get_mut(index.min(BUCKETS - 1)) {
            *bucket += weight;
        }
        self.weight += weight;
        self.sum += weight * value;
    }

    /// The value that this share is at or below, to the upper edge of its bucket; nothing where nothing
    /// was added.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut left = share.clamp(0.0, 1.0) * self.weight;
        let mut last = None;
        for (index, weight) in self.buckets.iter().enumerate().filter(|(_, weight)| **weight > 0.0)
        {
            last = Some(((index + 1) as f64 / PER_DOUBLING).exp2());
            left -= weight;
            if left <= 0.0 {
                break;
            }
        }
        last
    }

    /// The mean; nothing where nothing was added.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }

    fn scale(&mut self, factor: f64) {
        self.buckets.iter_mut().for_each(|weight| *weight *= factor);
        self.weight *= factor;
        self.sum *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_near_the_true_one() {
        let mut sketch = Sketch::new(1_000);
        (1..=1_000).for_each(|value| sketch.add(f64::from(value), 0));
        for share in [0.05, 0.5, 0.95] {
            let found = sketch.quantile(share).unwrap() / (1_000.0 * share);
            assert!((1.0..1.09).contains(&found), "{share} {found}");
        }
        assert_eq!(sketch.mean(), Some(500.5));
        assert_eq!(Sketch::new(1).quantile(0.5), None);
    }

    #[test]
    fn what_is_new_outweighs_what_is_old_however_long_ago_that_was() {
        for later in [10_000, 200_000, u64::MAX] {
            let mut sketch = Sketch::new(1_000);
            (0..500).for_each(|_| sketch.add(10.0, 0));
            (0..5).for_each(|_| sketch.add(1_000.0, later));
            assert!(sketch.quantile(0.5).unwrap() > 900.0, "{later}");
            assert!(sketch.mean().unwrap() > 700.0, "{later}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_number_and_no_time_breaks_it(
            values in proptest::collection::vec((0.0f64..1e12, 0u64..u64::MAX), 1..50),
        ) {
            let mut sketch = Sketch::new(1_000);
            values.iter().for_each(|(value, at)| sketch.add(*value, *at));
            proptest::prop_assert!(sketch.quantile(0.95).unwrap().is_finite());
            proptest::prop_assert!(sketch.quantile(0.05) <= sketch.quantile(0.95));
            proptest::prop_assert!(sketch.mean().unwrap().is_finite());
        }
    }
}

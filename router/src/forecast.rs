//! How fast a deployment's next answer will be: a p95 that holds while latencies change.
//!
//! The logarithm of a latency is taken as a level, which may jump, plus a rest, whose spread changes
//! slowly. The level is the mean since the last change, of no more than the newest answers; a change
//! is seen by a two-sided CUSUM over clipped rests (Page, "Continuous inspection schemes", 1954), and
//! what came before it is then forgotten. The stated p95 is the level plus a quantile of the newest
//! rests, each of which was taken before its answer was learnt from, so that what the level did not
//! foresee is in it. Which quantile is corrected after each answer, up where it was missed and down
//! where not, which holds the long-run share of misses whatever the latencies do (Gibbs and Candès,
//! "Adaptive conformal inference under distribution shift", arXiv:2106.00072).
//!
//! `tests/forecast.rs` holds it to its coverage over changing regimes.

use std::collections::VecDeque;

use maestro_schemas::route::Interval;

/// The share of misses that is aimed at. Below 0.05: the first answers after a change are missed
/// whatever is stated, and the rest has to make up for them.
const MISS_SHARE: f64 = 0.04;
/// How far a miss moves the share that is stated.
const STEP: f64 = 0.01;
/// The share that is stated stays within these.
const SHARE_MIN: f64 = 0.004;
const SHARE_MAX: f64 = 0.12;
/// So many newest answers make the level, at most.
const LEVEL_COUNT_MAX: usize = 40;
/// So many newest rests make the spread.
const RESTS: usize = 240;
/// Before any answer the rests are taken to be normal with this deviation, from so many of them.
const FIRST_DEVIATION: f64 = 0.5;
const FIRST_RESTS: usize = 24;
/// Latencies that are all alike are taken to differ by so much.
const DEVIATION_MIN: f64 = 0.02;
/// A rest counts no more than so many deviations in the search for a change.
const CLIP: f64 = 2.5;
/// A rest of so many deviations is no sign of a change.
const DRIFT: f64 = 0.6;
/// Signs of a change that are enough, in deviations.
const ALARM: f64 = 5.0;

/// What the forecast remembers; at most [`LEVEL_COUNT_MAX`] and [`RESTS`] numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Logarithms of the newest latencies since the last change.
    newest: VecDeque<f64>,
    rests: Rests,
    share: f64,
    up: Sum,
    down: Sum,
}

/// The newest rests, in their order and sorted.
#[derive(Debug, Clone, PartialEq)]
struct Rests {
    ring: VecDeque<f64>,
    sorted: Vec<f64>,
}

/// One side of the search for a change.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sum {
    value: f64,
    /// How many answers ago it left 0.
    since: usize,
}

impl Default for Forecast {
    fn default() -> Self {
        Self {
            newest: VecDeque::new(),
            rests: Rests::first(),
            share: MISS_SHARE,
            up: Sum::default(),
            down: Sum::default(),
        }
    }
}

impl Forecast {
    /// What 95 of 100 answers are faster than, in milliseconds, and how sure that is; nothing before
    /// the first answer.
    pub fn p95_ms(&self) -> Option<Interval> {
        let level = self.level()?;
        let at = |share: f64| self.rests.quantile(share);
        let (count, share) = (self.rests.sorted.len() as f64, 1.0 - self.share);
        // Of a quantile from so many rests, and of the level from so many answers: two deviations.
        let off = 2.0 * (share * (1.0 - share) / count).sqrt();
        let level_off = 2.0 * self.rests.deviation() / (self.newest.len() as f64).sqrt();
        let value = level + at(share);
        let below = (at(share) - at(share - off)).hypot(level_off);
        let above = (at(share + off) - at(share)).hypot(level_off);
        // Whole milliseconds: latencies are told in them, and one that is met is not missed.
        Some(Interval {
            value: value.exp().ceil(),
            lo: (value - below).exp().floor(),
            hi: (value + above).exp().ceil(),
        })
    }

    /// Learns how long an answer took. Calls that failed say nothing here.
    pub fn learn(&mut self, latency_ms: f64) {
        let value = latency_ms.max(1.0).ln();
        if let Some(level) = self.level() {
            let rest = value - level;
            let missed = rest > self.rests.quantile(1.0 - self.share);
            self.share = corrected(self.share, missed);
            self.watch(rest / self.rests.deviation());
            self.rests.push(rest);
        }
        if self.newest.len() >= LEVEL_COUNT_MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(value);
    }

    fn level(&self) -> Option<f64> {
        let count = self.newest.len();
        (count > 0).then(|| self.newest.iter().sum::<f64>() / count as f64)
    }

    /// Looks for a change, and forgets what came before one.
    fn watch(&mut self, deviations: f64) {
        let clipped = deviations.clamp(-CLIP, CLIP);
        let changed = [self.up.add(clipped - DRIFT), self.down.add(-clipped - DRIFT)];
        if let Some(since) = changed.into_iter().flatten().max() {
            // The answer at hand is one of these, and comes to the newest after this.
            let before = self.newest.len().saturating_sub(since.saturating_sub(1));
            self.newest.drain(..before);
            (self.up, self.down) = (Sum::default(), Sum::default());
        }
    }
}

impl Sum {
    /// Adds; where the sum is an alarm, answers how many answers the change is old.
    fn add(&mut self, sign: f64) -> Option<usize> {
        self.value = (self.value + sign).max(0.0);
        self.since = if self.value > 0.0 { self.since + 1 } else { 0 };
        (self.value > ALARM).then_some(self.since)
    }
}

fn corrected(share: f64, missed: bool) -> f64 {
    let miss = if missed { 1.0 } else { 0.0 };
    (share + STEP * (MISS_SHARE - miss)).clamp(SHARE_MIN, SHARE_MAX)
}

impl Rests {
    /// The rests before any answer: the logistic quantiles, scaled to the normal's deviation, which is
    /// near enough for a first guess.
    fn first() -> Self {
        let shares = (0..FIRST_RESTS).map(|index| (index as f64 + 0.5) / FIRST_RESTS as f64);
        let sorted: Vec<f64> =
            shares.map(|share| FIRST_DEVIATION * (share / (1.0 - share)).ln() / 1.702).collect();
        Self { ring: sorted.iter().copied().collect(), sorted }
    }

    fn push(&mut self, rest: f64) {
        if self.ring.len() >= RESTS
            && let Some(old) = self.ring.pop_front()
        {
            let index = self.sorted.partition_point(|one| one.total_cmp(&old).is_lt());
            self.sorted.drain(index..(index + 1).min(self.sorted.len()));
        }
        let index = self.sorted.partition_point(|one| one.total_cmp(&rest).is_lt());
        self.sorted.insert(index, rest);
        self.ring.push_back(rest);
    }

    /// The quantile at the rank that a new one of the same kind stays below with at least this share.
    fn quantile(&self, share: f64) -> f64 {
        let rank = (share * (self.sorted.len() + 1) as f64).ceil() as usize;
        let index = rank.saturating_sub(1).min(self.sorted.len().saturating_sub(1));
        self.sorted.get(index).copied().unwrap_or(0.0)
    }

    /// A deviation that single far values do not move: from the middle 68 of 100.
    fn deviation(&self) -> f64 {
        ((self.quantile(0.84) - self.quantile(0.16)) / 2.0).max(DEVIATION_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_stated_before_the_first_answer_and_something_after_it() {
        let mut forecast = Forecast::default();
        assert_eq!(forecast.p95_ms(), None);
        forecast.learn(100.0);
        let p95 = forecast.p95_ms().unwrap();
        assert!(p95.lo < p95.value && p95.value < p95.hi && p95.value > 100.0, "{p95:?}");
    }

    #[test]
    fn one_slow_answer_is_no_change_and_several_are() {
        let mut forecast = Forecast::default();
        for index in 0..200 {
            forecast.learn(100.0 + f64::from(index % 20));
        }
        let before = forecast.p95_ms().unwrap().value;
        assert!((100.0..150.0).contains(&before), "{before}");
        forecast.learn(1_000.0);
        let level = forecast.level().unwrap().exp();
        assert!((100.0..130.0).contains(&level), "{level}");
        (0..4).for_each(|_| forecast.learn(1_000.0));
        let level = forecast.level().unwrap().exp();
        assert!((900.0..1_100.0).contains(&level), "{level}");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_learnt_it_states_a_number_within_its_interval_and_memory_is_bounded(
            latencies in proptest::collection::vec(0.0f64..1e7, 1..600),
        ) {
            let mut forecast = Forecast::default();
            latencies.iter().for_each(|latency| forecast.learn(*latency));
            let p95 = forecast.p95_ms().unwrap();
            proptest::prop_assert!(p95.value.is_finite() && p95.hi.is_finite());
            proptest::prop_assert!(p95.lo <= p95.value && p95.value <= p95.hi);
            let mut sorted: Vec<f64> = forecast.rests.ring.iter().copied().collect();
            sorted.sort_by(f64::total_cmp);
            proptest::prop_assert!(sorted.len() <= RESTS && sorted == forecast.rests.sorted);
            proptest::prop_assert!(forecast.newest.len() <= LEVEL_COUNT_MAX);
        }
    }
}

//! The forecast on providers whose latencies change each minute: what is stated when a call is made,
//! against what the call then takes.

#![cfg(test)]

use std::collections::BTreeMap;

use maestro_router::forecast::Forecast;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    /// Evenly between 0 and 1, neither included.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }
}

const MINUTES: usize = 10;
const SEEDS: u64 = 20;

/// A minute of a provider: how slow it is, how much its answers differ, how often one is very late,
/// and how often a call fails.
struct Regime {
    median_ms: f64,
    spread: f64,
    late: f64,
    failed: f64,
}

fn normal(random: &mut Random) -> f64 {
    let (one, other) = (random.share(), random.share());
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

fn regime(random: &mut Random, base_ms: f64) -> Regime {
    let scale = random.between(0.3f64.ln(), 5.0f64.ln()).exp();
    Regime {
        median_ms: base_ms * scale,
        spread: random.between(0.15, 0.7),
        late: if random.share() < 0.5 { 0.0 } else { random.between(0.0, 0.04) },
        failed: if random.share() < 0.33 { random.between(0.1, 0.5) } else { 0.01 },
    }
}

impl Regime {
    /// What a call takes; nothing where it fails.
    fn call(&self, random: &mut Random) -> Option<f64> {
        if random.share() < self.failed {
            return None;
        }
        let usual = self.median_ms * (self.spread * normal(random)).exp();
        let late = random.share() < self.late;
        // A Pareto tail with exponent 1.5: its variance is infinite.
        let tail = if late { 2.0 * random.between(0.001, 1.0).powf(-1.0 / 1.5) } else { 1.0 };
        Some(usual * tail)
    }

    /// The latency that 95 of 100 answers stay below, by trying.
    fn p95(&self, random: &mut Random) -> f64 {
        let mut all: Vec<f64> = (0..4_000).filter_map(|_| self.call(random)).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() * 95 / 100]
    }
}

#[derive(Default, Clone, Copy)]
struct Tally {
    calls: f64,
    covered: f64,
    first: f64,
    first_covered: f64,
    wider: f64,
    interval: f64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.covered += other.covered;
        self.first += other.first;
        self.first_covered += other.first_covered;
        self.wider += other.wider;
        self.interval += other.interval;
    }

    fn share(&self) -> f64 {
        self.covered / self.calls
    }

    fn first_share(&self) -> f64 {
        self.first_covered / self.first
    }
}

/// Each minute, or each second one, brings another regime; calls are made at a steady rate, and an
/// answer is learnt when it has come, so that a slow provider is known of late.
fn play(seed: u64, per_second: f64, minutes_of_regime: usize) -> Tally {
    let mut random = Random(seed);
    let base_ms = random.between(50f64.ln(), 1_500f64.ln()).exp();
    let mut forecast = Forecast::default();
    let mut coming: BTreeMap<(u64, u64), f64> = BTreeMap::new();
    let (mut tally, mut number) = (Tally::default(), 0);
    for minute in 0..MINUTES {
        if minute % minutes_of_regime != 0 {
            continue;
        }
        let regime = regime(&mut random, base_ms);
        let p95 = regime.p95(&mut random);
        let calls = (60.0 * minutes_of_regime as f64 * per_second) as usize;
        for call in 0..calls {
            let at_ms = minute as f64 * 60_000.0 + call as f64 * 1_000.0 / per_second;
            while let Some(answer) =
                coming.first_entry().filter(|answer| answer.key().0 as f64 <= at_ms)
            {
                forecast.learn(answer.remove());
            }
            let Some(latency) = regime.call(&mut random) else { continue };
            number += 1;
            coming.insert(((at_ms + latency) as u64, number), latency);
            let Some(stated) = forecast.p95_ms() else { continue };
            let covered = if latency <= stated.value { 1.0 } else { 0.0 };
            let after_change = minute > 0 && at_ms - minute as f64 * 60_000.0 < 60_000.0;
            tally.calls += 1.0;
            tally.covered += covered;
            if after_change {
                tally.first += 1.0;
                tally.first_covered += covered;
            }
            tally.wider += stated.value / p95;
            tally.interval += (stated.hi - stated.lo) / p95;
        }
    }
    tally
}

#[test]
fn the_stated_p95_holds_overall_and_in_the_minute_after_a_change() {
    for minutes in [1, 2] {
        for per_second in [1.0, 5.0, 20.0, 80.0] {
            let mut all = Tally::default();
            let (mut low, mut high, mut low_first) = (1.0f64, 0.0f64, 1.0f64);
            for seed in 0..SEEDS {
                let tally = play(seed, per_second, minutes);
                low = low.min(tally.share());
                high = high.max(tally.share());
                low_first = low_first.min(tally.first_share());
                all.add(tally);
            }
            eprintln!(
                "a change each {minutes} min, {per_second:>2} calls/s: covered {:.1} % (of {SEEDS} seeds {:.1} to \
                 {:.1}), in the minute after a change {:.1} % (least {:.1}), stated by empirical p95 \
                 {:.2}, interval by empirical p95 {:.2}",
                100.0 * all.share(),
                100.0 * low,
                100.0 * high,
                100.0 * all.first_share(),
                100.0 * low_first,
                all.wider / all.calls,
                all.interval / all.calls,
            );
            assert!((0.90..=0.98).contains(&all.share()));
            assert!(low >= 0.90 && high <= 0.98, "{low} {high}");
            assert!(low_first >= 0.80, "{low_first}");
        }
    }
}

//! Plays the seeds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::check::Violation;
use crate::play::{How, Played, play};

const SEEDS: u64 = 1_500;

/// What must have happened somewhere in so many seeds; else they prove less than they seem to.
const EXPECTED: [&str; 27] = [
    "a commit landed before",
    "a commit was no data",
    "a commit was refused",
    "a fan-out was closed",
    "a forged token was buried",
    "a lost object was made again",
    "a lost task was ensured",
    "a message was buried",
    "a part of a message was buried",
    "a pause was over",
    "a result was known",
    "a run failed",
    "a run succeeded",
    "a run was cancelled",
    "a run was set aside",
    "a task was ensured",
    "an item's result was known",
    "an inbox was made anew",
    "an input was lost",
    "an input was lost for good",
    "cancelled and silent",
    "executed again",
    "items kept by a rerun",
    "kept by a rerun",
    "outputs of items were asked for",
    "overran",
    "unclaimed",
];

/// What all seeds together came to.
#[derive(Default)]
struct Sum {
    happened: u64,
    commits: u64,
    marks: BTreeMap<&'static str, u64>,
    /// The longest that a seed took to end after its last fault, in milliseconds, and that seed.
    slowest: (u64, u64),
    failed: Vec<(u64, Violation)>,
}

impl Sum {
    fn add(&mut self, seed: u64, played: Played) {
        self.happened += played.happened;
        self.commits += played.commits;
        for (mark, count) in played.marks {
            *self.marks.entry(mark).or_default() += count;
        }
        self.slowest = self.slowest.max((played.ended_after_ms, seed));
        self.failed.extend(played.result.err().map(|violation| (seed, violation)));
    }

    fn failures(&self) -> String {
        let told = self.failed.iter().map(|(seed, violation)| {
            format!(
                "seed {seed}: invariant {}: {}\n  replay: MAESTRO_SIM_SEED={seed} cargo test -p \
                 maestro-tests --test sim one_seed -- --nocapture",
                violation.invariant, violation.what
            )
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays seeds on all cores, until they are through or a few have failed.
fn play_all(count: u64) -> Sum {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    let work = || {
        while sum.lock().expect("no thread panics").failed.len() < 3 {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            let played = play(seed, How::default());
            sum.lock().expect("no thread panics").add(seed, played);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        (0..threads).for_each(|_| {
            scope.spawn(work);
        });
    });
    sum.into_inner().expect("no thread panics")
}

#[test]
fn every_invariant_holds_for_every_seed() {
    let count = number("MAESTRO_SIM_SEEDS").unwrap_or(SEEDS);
    let sum = play_all(count);
    eprintln!(
        "{count} seeds, {} happenings, {} commits; slowest to end: {:?}; {:#?}",
        sum.happened, sum.commits, sum.slowest, sum.marks
    );
    assert!(sum.failed.is_empty(), "{}", sum.failures());
    let missing: Vec<_> = EXPECTED.iter().filter(|mark| !sum.marks.contains_key(*mark)).collect();
    assert!(count < SEEDS || missing.is_empty(), "never happened: {missing:?}");
}

#[test]
fn one_seed_tells_the_same_story_again() {
    let seed = number("MAESTRO_SIM_SEED");
    let how = How { traced: true, ..How::default() };
    let played = play(seed.unwrap_or(7), how);
    if seed.is_some() {
        eprintln!("{}", played.trace.join("\n"));
        assert!(played.result.is_ok(), "{:?}", played.result);
    }
    assert_eq!(played.trace, play(seed.unwrap_or(7), how).trace);
}

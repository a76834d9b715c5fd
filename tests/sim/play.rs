//! Plays one seed.

use std::collections::BTreeMap;

use crate::check::{Checker, Violation};
use crate::dice::Dice;
use crate::planted::Planted;
use crate::setting::Setting;
use crate::store::Store;
use crate::world::World;

/// How a seed is played.
#[derive(Debug, Clone, Copy, Default)]
pub struct How {
    pub planted: Option<Planted>,
    /// The one invariant that is checked; absent means all.
    pub only: Option<u8>,
    pub traced: bool,
    /// Whether the store keeps what is written.
    pub journalled: bool,
}

/// What became of a seed.
pub struct Played {
    pub result: Result<(), Violation>,
    pub trace: Vec<String>,
    pub happened: u64,
    pub commits: u64,
    /// The rows at the end.
    pub store: Store,
    pub marks: BTreeMap<&'static str, u64>,
    /// How long the last run took to end after the last fault, in milliseconds.
    pub ended_after_ms: u64,
}

/// Plays one seed to its end or to the first invariant that does not hold.
pub fn play(seed: u64, how: How) -> Played {
    let mut dice = Dice::new(seed);
    let mut setting = Setting::of(seed, &mut dice);
    setting.planted = how.planted;
    if how.planted == Some(Planted::CancelsLost) {
        // What was forgotten shows only where an owner dies between a cancellation and its end.
        setting.blows.crashes = 40;
        setting.faults_until += 10_000;
    }
    if how.planted == Some(Planted::PartsAcked) {
        // The parts of a message part ways where batches are small, which they are over poison.
        setting.chances.forged = 300;
        setting.chances.poison = 100;
        setting.faults_until += 10_000;
    }
    let checker = Checker::new(&setting, how.only);
    let until = setting.faults_until;
    let told = format!("{setting:?}");
    let mut world = World::new(setting, dice, checker);
    world.trace = how.traced.then(|| vec![told]);
    world.store.journal = how.journalled.then(Vec::new);
    let result = world.play();
    Played {
        result,
        trace: world.trace.unwrap_or_default(),
        happened: world.happened,
        commits: world.store.commits,
        store: world.store,
        marks: world.marks,
        ended_after_ms: world.now.saturating_sub(until.max(world.people.last_at)),
    }
}

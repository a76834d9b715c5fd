//! A run cannot be folded any further: what it has in flight or due is over.

use maestro_schemas::step::StepAddress;

use super::lapse::{self, Silence};
use super::{Facts, cancel};
use crate::event::Event;
use crate::run::Run;

/// Sets a run aside; nothing of it stays live or due.
pub fn decide(run: &Run, reason: String, facts: Facts) -> Vec<Event> {
    let live =
        run.live.keys().flat_map(|step| lapse::decide(run, *step, Silence::Cancelled, facts));
    let is_paused = |step: &&StepAddress| !run.live.contains_key(step);
    let paused = run.pauses.keys().filter(is_paused);
    let paused = paused.map(|step| cancel::conclude(*step, &reason, facts));
    let ends: Vec<Event> = live.chain(paused).collect();
    std::iter::once(Event::Quarantined { reason }).chain(ends).collect()
}

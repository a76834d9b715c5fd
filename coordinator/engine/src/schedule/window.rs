//! How much a pool may have in flight: what its workers said that they hold, and what starts
//! within one round trip to the bus.

use std::collections::BTreeMap;

use maestro_schemas::heartbeat::{Heartbeat, PERIOD_MS};
use maestro_schemas::id::WorkerId;

/// A worker that was silent for longer is not counted, in milliseconds.
pub const SILENCE_MS_MAX: u64 = 4 * PERIOD_MS;

/// What a task takes from its decision to a worker, in milliseconds: what ends meanwhile is
/// replaced in advance.
const ROUND_TRIP_MS: u64 = 20;

/// A pool's capacity.
#[derive(Debug, Default)]
pub struct Window {
    workers: BTreeMap<WorkerId, Said>,
    ends: u32,
    ends_since_ms: u64,
    ends_per_round_trip: u32,
}

#[derive(Debug, Clone, Copy)]
struct Said {
    slots: u32,
    in_hand: u32,
    at_ms: u64,
}

impl Window {
    /// Takes note of what a worker said of itself.
    pub fn hear(&mut self, heartbeat: &Heartbeat, now_ms: u64) {
        if heartbeat.leaving {
            self.workers.remove(&heartbeat.worker);
            return;
        }
        let slots = if heartbeat.draining { 0 } else { heartbeat.slots };
        let in_hand = u32::try_from(heartbeat.running.len()).unwrap_or(u32::MAX);
        self.workers.insert(heartbeat.worker, Said { slots, in_hand, at_ms: now_ms });
        self.workers.retain(|_, said| now_ms.saturating_sub(said.at_ms) <= SILENCE_MS_MAX);
    }

    /// Slots of all live workers; `None` where none is live.
    pub fn slots(&self, now_ms: u64) -> Option<u32> {
        let mut live = self.live(now_ms).peekable();
        live.peek()?;
        Some(live.fold(0, |sum: u32, said| sum.saturating_add(said.slots)))
    }

    /// Executions in the hands of live workers.
    pub fn in_hand(&self, now_ms: u64) -> u32 {
        self.live(now_ms).fold(0, |sum: u32, said| sum.saturating_add(said.in_hand))
    }

    /// How many attempts may be in flight for so many slots: at least one more than there are
    /// slots while any ends quickly, at most twice as many.
    pub fn size(&self, slots: u32) -> u32 {
        slots.saturating_add(self.ends_per_round_trip.min(slots))
    }

    /// Takes note that an attempt ended.
    pub fn note_end(&mut self, now_ms: u64) {
        self.ends += 1;
        let elapsed = now_ms.saturating_sub(self.ends_since_ms);
        if elapsed >= 100 {
            let rate = u64::from(self.ends) * ROUND_TRIP_MS / elapsed;
            self.ends_per_round_trip = u32::try_from(rate).unwrap_or(u32::MAX);
            self.ends = 0;
            self.ends_since_ms = now_ms;
        }
    }

    fn live(&self, now_ms: u64) -> impl Iterator<Item = Said> {
        self.workers
            .values()
            .copied()
            .filter(move |said| now_ms.saturating_sub(said.at_ms) <= SILENCE_MS_MAX)
    }
}

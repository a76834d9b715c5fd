//! How coordinators share a pool's window without anybody owning it.
//!
//! Each says what it has ready and in flight ([`Demand`]); each works out its own room by the same
//! pure function of what all last said ([`room`]). Windows are soft: for the time that a word
//! takes to arrive, a pool may hold more than its window.

use std::collections::BTreeMap;

use maestro_schemas::name::PoolName;
use serde::{Deserialize, Serialize};

/// What one coordinator has ready and in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demand {
    /// The coordinator's name.
    pub coordinator: String,
    /// By pool.
    pub pools: BTreeMap<PoolName, PoolDemand>,
}

/// What one coordinator has ready and in flight for a pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolDemand {
    /// Attempts that are decided and have not ended.
    pub in_flight: u32,
    /// Steps that could be released now, counted up to [`READY_MAX`].
    pub ready: u32,
}

/// A coordinator that said nothing for longer is gone, in milliseconds; each says again what it
/// has, changed or not, well within it.
pub const SILENCE_MS_MAX: u64 = 4_000;

/// What more ready work than this says nothing more about a coordinator's share.
pub const READY_MAX: u32 = 10_000;

/// How many more attempts `mine` may release into a window of `window`, given what the `others`
/// last said: what is free, divided in proportion to what each has ready, at least one where
/// anything is free at all.
pub fn room(window: u32, mine: PoolDemand, others: &[PoolDemand]) -> u32 {
    let taken =
        others.iter().fold(mine.in_flight, |sum, other| sum.saturating_add(other.in_flight));
    let free = window.saturating_sub(taken);
    let ready_others: u64 = others.iter().map(|other| u64::from(other.ready)).sum();
    if ready_others == 0 || free == 0 {
        return free;
    }
    let ready_mine = u64::from(mine.ready.clamp(1, READY_MAX));
    let part = u64::from(free) * ready_mine / (ready_mine + ready_others);
    u32::try_from(part).unwrap_or(free).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(in_flight: u32, ready: u32) -> PoolDemand {
        PoolDemand { in_flight, ready }
    }

    #[test]
    fn who_is_alone_has_all_that_is_free() {
        assert_eq!(room(10, demand(3, 100), &[]), 7);
        assert_eq!(room(10, demand(3, 100), &[demand(2, 0)]), 5);
    }

    #[test]
    fn what_is_free_is_divided_by_what_is_ready() {
        assert_eq!(room(10, demand(0, 30), &[demand(0, 10)]), 7);
        assert_eq!(room(10, demand(0, 1), &[demand(0, 10_000)]), 1);
        assert_eq!(room(10, demand(10, 1), &[demand(0, 10)]), 0);
    }
}

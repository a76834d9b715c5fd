//! What is released next: by priority, then by deficit round robin between projects.
//!
//! Ready steps wait here, not on the bus, so that nobody's order is fixed before there is room. A
//! fan-out waits as one entry however many items it has. Entries are hints: whoever takes one asks
//! the run whether it still stands.

mod queue;
pub mod window;

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::step::StepAddress;

use crate::share::{PoolDemand, READY_MAX, SILENCE_MS_MAX, room};
use queue::ProjectQueues;
pub use queue::{Entry, Place};
use window::Window;

/// Ready work and room, by pool.
#[derive(Debug, Default)]
pub struct Schedule {
    pools: BTreeMap<PoolName, Pool>,
}

#[derive(Debug, Default)]
struct Pool {
    ready: ProjectQueues,
    window: Window,
    in_flight: u32,
    by_project: BTreeMap<ProjectName, u32>,
    others: BTreeMap<String, Said>,
}

/// What another coordinator said, and when.
#[derive(Debug, Clone, Copy)]
struct Said {
    demand: PoolDemand,
    at_ms: u64,
}

impl Schedule {
    /// Puts ready work at the end of its line.
    pub fn push(&mut self, pool: &PoolName, place: Place, entry: Entry) {
        self.pool(pool).ready.push(place, entry);
    }

    /// Puts work that has more to give back to the front of its line.
    pub fn push_front(&mut self, pool: &PoolName, place: Place, entry: Entry) {
        self.pool(pool).ready.push_front(place, entry);
    }

    /// Takes the next entry of a pool that has room, the pools in turn.
    pub fn pop(&mut self, now_ms: u64) -> Option<(PoolName, Place, Entry)> {
        self.pools.iter_mut().find_map(|(name, pool)| {
            let (place, entry) = pool.pop(now_ms)?;
            Some((name.clone(), place, entry))
        })
    }

    /// Counts an attempt that was decided.
    pub fn began(&mut self, pool: &PoolName, project: &ProjectName) {
        let pool = self.pool(pool);
        pool.in_flight += 1;
        *pool.by_project.entry(project.clone()).or_default() += 1;
    }

    /// Counts an attempt that ended.
    pub fn ended(&mut self, pool: &PoolName, project: &ProjectName, now_ms: u64) {
        let pool = self.pool(pool);
        pool.in_flight = pool.in_flight.saturating_sub(1);
        pool.window.note_end(now_ms);
        if let Some(count) = pool.by_project.get_mut(project) {
            *count -= 1;
            if *count == 0 {
                pool.by_project.remove(project);
            }
        }
    }

    /// Takes note of a worker's capacity.
    pub fn heard(&mut self, heartbeat: &maestro_schemas::heartbeat::Heartbeat, now_ms: u64) {
        self.pool(&heartbeat.pool).window.hear(heartbeat, now_ms);
    }

    /// Takes note of what another coordinator has ready and in flight. One that is silent for
    /// [`SILENCE_MS_MAX`] is counted no more: what it had is in others' hands.
    pub fn demanded(&mut self, demand: crate::share::Demand, now_ms: u64) {
        for (name, pool) in &mut self.pools {
            if !demand.pools.contains_key(name) {
                pool.others.remove(&demand.coordinator);
            }
        }
        for (name, part) in demand.pools {
            let said = Said { demand: part, at_ms: now_ms };
            self.pool(&name).others.insert(demand.coordinator.clone(), said);
        }
    }

    /// What this coordinator has ready and in flight, for the others.
    pub fn demand(&self) -> BTreeMap<PoolName, PoolDemand> {
        self.pools
            .iter()
            .map(|(name, pool)| (name.clone(), pool.demand()))
            .filter(|(_, demand)| *demand != PoolDemand::default())
            .collect()
    }

    /// Forgets a shard's runs: its entries and its attempts in flight.
    pub fn forget(&mut self, is_forgotten: impl Fn(RunId) -> bool) {
        for pool in self.pools.values_mut() {
            pool.ready.retain(|entry| !is_forgotten(entry.run()));
        }
    }

    /// The slots of a pool's live workers; `None` where none is live.
    pub fn slots(&self, pool: &PoolName, now_ms: u64) -> Option<u32> {
        self.pools.get(pool).and_then(|pool| pool.window.slots(now_ms))
    }

    /// How many executions the pool's workers have in hand, as far as they said.
    pub fn in_hand(&self, pool: &PoolName, now_ms: u64) -> u32 {
        self.pools.get(pool).map_or(0, |pool| pool.window.in_hand(now_ms))
    }

    /// How many attempts are in flight for a pool, by the rows of this coordinator.
    pub fn in_flight(&self, pool: &PoolName) -> u32 {
        self.pools.get(pool).map_or(0, |pool| pool.in_flight)
    }

    /// Whether nothing waits for a place.
    pub fn is_empty(&self) -> bool {
        self.pools.values().all(|pool| pool.ready.is_empty())
    }

    fn pool(&mut self, name: &PoolName) -> &mut Pool {
        if !self.pools.contains_key(name) {
            self.pools.insert(name.clone(), Pool::default());
        }
        self.pools.entry(name.clone()).or_default()
    }
}

impl Pool {
    fn demand(&self) -> PoolDemand {
        let ready = u32::try_from(self.ready.len()).unwrap_or(READY_MAX).min(READY_MAX);
        PoolDemand { in_flight: self.in_flight, ready }
    }

    fn pop(&mut self, now_ms: u64) -> Option<(Place, Entry)> {
        if self.ready.is_empty() {
            return None;
        }
        let slots = self.window.slots(now_ms)?;
        let window = self.window.size(slots);
        self.others.retain(|_, said| now_ms.saturating_sub(said.at_ms) <= SILENCE_MS_MAX);
        let others: Vec<PoolDemand> = self.others.values().map(|said| said.demand).collect();
        if room(window, self.demand(), &others) > 0 {
            return self.ready.pop(|_| true);
        }
        // A project with nothing in flight may go one beyond a full window, up to twice the window.
        let idle = |project: &ProjectName| !self.by_project.contains_key(project);
        (self.in_flight < window.saturating_mul(2)).then(|| self.ready.pop(idle)).flatten()
    }
}

/// The step that an entry stands for, where it stands for one.
impl Entry {
    /// The run.
    pub const fn run(&self) -> RunId {
        match self {
            Self::Node { run, .. } | Self::Again { run, .. } | Self::Items { run, .. } => *run,
        }
    }

    /// The step, but for a fan-out.
    pub const fn step(&self) -> Option<StepAddress> {
        match self {
            Self::Node { node, .. } => Some(StepAddress::node(*node)),
            Self::Again { step, .. } => Some(*step),
            Self::Items { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use maestro_schemas::heartbeat::Heartbeat;
    use maestro_schemas::id::WorkerId;
    use maestro_schemas::plan::Priority;
    use uuid::Uuid;

    use super::*;
    use crate::share::Demand;

    fn beat(slots: u32) -> Heartbeat {
        Heartbeat {
            worker: WorkerId::from_uuid(Uuid::from_u128(1)),
            name: "w".into(),
            pool: "build".parse().expect("a name"),
            slots,
            draining: false,
            leaving: false,
            actions: None,
            sandbox: None,
            running: Vec::new(),
        }
    }

    #[test]
    fn what_a_silent_coordinator_had_in_flight_takes_up_no_room_for_ever() {
        let mut schedule = Schedule::default();
        let pool: PoolName = "build".parse().expect("a name");
        let project: ProjectName = "p".parse().expect("a name");
        let run = RunId::from_uuid(Uuid::from_u128(2));
        schedule.heard(&beat(2), 0);
        schedule.began(&pool, &project);
        let place = Place { priority: Priority::Normal, project };
        schedule.push(&pool, place, Entry::Node { run, node: 0 });
        let taken = PoolDemand { in_flight: 2, ready: 0 };
        let pools = [(pool.clone(), taken)].into();
        schedule.demanded(Demand { coordinator: "other".into(), pools }, 0);
        assert!(schedule.pop(1).is_none(), "the other has taken the window");
        schedule.heard(&beat(2), SILENCE_MS_MAX);
        assert!(schedule.pop(SILENCE_MS_MAX + 1).is_some(), "the other is gone");
    }
}

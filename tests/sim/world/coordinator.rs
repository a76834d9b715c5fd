//! A coordinator's process: the fold, and what its shell remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_engine::shard::Fold;
use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::{
    Answer, Ask, AskId, Completion, DeliveryId, Landing, Publication,
};

use super::{Checked, Happening, Process, World};
use crate::bus::Subject;

/// A shard that a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Holding {
    pub epoch: u64,
    pub consumer: u64,
    pub next_pull_at: u64,
}

/// A coordinator's process.
pub struct Coordinator {
    pub name: String,
    /// Which start of a process in this place it is.
    pub life: u64,
    pub is_alive: bool,
    pub is_draining: bool,
    pub paused_until: u64,
    /// How far its clock is ahead.
    pub ahead_ms: u64,
    pub fold: Fold,
    pub held: BTreeMap<u16, Holding>,
    pub taking: BTreeSet<u16>,
    pub deliveries: BTreeMap<DeliveryId, (u16, u64, u64)>,
    pub last_delivery: u64,
    pub publications: BTreeMap<Subject, Publication>,
    pub asks: BTreeMap<AskId, Ask>,
    /// The commit that is in flight, with the number of its last sending.
    pub commit: Option<Arc<Commit>>,
    pub sendings: u64,
    pub awaits_answer: bool,
    pub wake_at: u64,
    pub wake_comes_at: Option<u64>,
}

impl Coordinator {
    fn new(name: String, life: u64, ahead_ms: u64) -> Self {
        Self {
            fold: Fold::new(name.clone()),
            name,
            life,
            is_alive: true,
            is_draining: false,
            paused_until: 0,
            ahead_ms,
            held: BTreeMap::new(),
            taking: BTreeSet::new(),
            deliveries: BTreeMap::new(),
            last_delivery: 0,
            publications: BTreeMap::new(),
            asks: BTreeMap::new(),
            commit: None,
            sendings: 0,
            awaits_answer: false,
            wake_at: 0,
            wake_comes_at: None,
        }
    }
}

impl World {
    /// Starts a process in a place, in place of the one that was there.
    pub fn start_coordinator(&mut self, place: usize, name: String) {
        let ahead_ms = if self.setting.has_faults() { self.dice.below(1_500) } else { 0 };
        let life = self.coordinators.get(place).map_or(0, |former| former.life + 1);
        let coordinator = Coordinator::new(name, life, ahead_ms);
        match self.coordinators.get_mut(place) {
            Some(slot) => *slot = coordinator,
            None => self.coordinators.push(coordinator),
        }
        self.note(|| format!("c{place} starts, life {life}"));
        let delay = self.dice.between(1, 50);
        self.after(delay, Happening::Looks((place, life)));
        self.after(delay + 100, Happening::SaysDemand((place, life)));
    }

    /// Whether this start of a process still runs.
    pub fn lives(&self, (place, life): Process) -> bool {
        let coordinator = &self.coordinators[place];
        coordinator.is_alive && coordinator.life == life
    }

    /// Until when a process that is stopped goes on again; absent where it is not stopped.
    pub fn stopped_for(&self, (place, _): Process) -> Option<u64> {
        let until = self.coordinators[place].paused_until;
        (until > self.now).then(|| until - self.now)
    }

    /// The time by a process' own clock.
    pub fn clock(&self, (place, _): Process) -> u64 {
        self.now + self.coordinators[place].ahead_ms
    }

    /// Tells the fold something and performs what it asks for.
    pub fn complete(&mut self, process: Process, completion: Completion) -> Checked {
        if !self.lives(process) {
            return Ok(());
        }
        if let Some(left) = self.stopped_for(process) {
            self.after(left, Happening::Completes(process, completion));
            return Ok(());
        }
        let now_ms = self.clock(process);
        if let Completion::Committed(landing) = &completion
            && *landing == Landing::Done
        {
            self.check_memory(process)?;
        }
        if matches!(&completion, Completion::Committed(landing) if *landing != Landing::Unknown) {
            self.coordinators[process.0].commit = None;
        }
        if let Completion::Answered(ask, answer) = &completion
            && *answer != Answer::Unavailable
        {
            self.coordinators[process.0].asks.remove(ask);
        }
        let requests = self.coordinators[process.0].fold.handle(now_ms, completion);
        for request in requests {
            self.perform(process, request)?;
        }
        self.check_waiting(process)
    }

    fn check_memory(&mut self, (place, _): Process) -> Checked {
        let coordinator = &self.coordinators[place];
        self.checker.memory_equals_rows(coordinator, &self.store)
    }

    fn check_waiting(&mut self, (place, _): Process) -> Checked {
        let coordinator = &self.coordinators[place];
        self.checker.nobody_waits_for_nothing(coordinator, self.now)
    }

    /// Sets the fold's alarm; a later one replaces it.
    pub fn wake_at(&mut self, process: Process, at_ms: u64) {
        let coordinator = &mut self.coordinators[process.0];
        let at = at_ms.saturating_sub(coordinator.ahead_ms).max(self.now);
        coordinator.wake_at = at;
        if coordinator.wake_comes_at.is_none_or(|comes| comes > at) {
            coordinator.wake_comes_at = Some(at);
            self.after(at - self.now, Happening::Wakes(process));
        }
    }

    pub fn wake(&mut self, process: Process) -> Checked {
        if !self.lives(process) || self.coordinators[process.0].wake_comes_at != Some(self.now) {
            return Ok(());
        }
        let coordinator = &mut self.coordinators[process.0];
        if coordinator.wake_at > self.now {
            let at = coordinator.wake_at;
            coordinator.wake_comes_at = Some(at);
            self.after(at - self.now, Happening::Wakes(process));
            return Ok(());
        }
        coordinator.wake_comes_at = None;
        self.complete(process, Completion::Woke)
    }

    pub fn say_demand(&mut self, process: Process) -> Checked {
        if !self.lives(process) {
            return Ok(());
        }
        self.after(700, Happening::SaysDemand(process));
        if self.stopped_for(process).is_some() {
            return Ok(());
        }
        let demand = self.coordinators[process.0].fold.demand();
        for place in 0..self.coordinators.len() {
            if place != process.0 && self.is_heard() {
                let other = (place, self.coordinators[place].life);
                self.after(2, Happening::Completes(other, Completion::Demanded(demand.clone())));
            }
        }
        Ok(())
    }

    /// A process dies: its memory is gone, what it sent is on its way.
    pub fn crash(&mut self, place: usize) {
        self.coordinators[place].is_alive = false;
        self.note(|| format!("c{place} dies"));
        let in_flight = self.coordinators[place].commit.clone();
        self.checker.crashed(in_flight.as_deref());
    }
}

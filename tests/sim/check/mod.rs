//! The invariants of the design, checked at every step of the simulated world.

mod land;
mod lost;
mod memory;
mod talk;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use maestro_engine::event::Pause;
use maestro_engine::shard::commit::Commit;
use maestro_schemas::codec::InboxMessage;
use maestro_schemas::id::{CommandId, RunId};

use crate::bus::Subject;
use crate::setting::Setting;
use crate::store::{RunRecord, Store};

/// An invariant that does not hold, by its number in the design.
#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: u8,
    pub what: String,
}

/// What the checks remember of what happened.
#[derive(Debug, Default)]
pub struct Checker {
    /// The one invariant that is checked; absent means all.
    only: Option<u8>,
    has_faults: bool,
    only_crashes: bool,
    /// The highest epoch under which a shard was read.
    epochs: BTreeMap<u16, u64>,
    landed: BTreeSet<(u16, u64)>,
    decided: BTreeSet<Subject>,
    executions: BTreeMap<Subject, u32>,
    /// Attempts whose task was accepted while a report of theirs stood in an inbox.
    overtaken: BTreeSet<Subject>,
    /// How many attempts stood in commits that were in flight when their owner died.
    decided_by_the_dead: usize,
    buried: BTreeSet<u64>,
    poisoned: BTreeSet<RunId>,
    cancels: BTreeMap<RunId, u32>,
    cancel_commands: BTreeSet<CommandId>,
    keys: BTreeMap<String, BTreeSet<RunId>>,
    looks: u64,
}

type Checked = Result<(), Violation>;

impl Checker {
    pub fn new(setting: &Setting, only: Option<u8>) -> Self {
        Self {
            only,
            has_faults: setting.has_faults(),
            only_crashes: setting.only_crashes(),
            ..Self::default()
        }
    }

    pub fn require(&self, invariant: u8, holds: bool, what: impl FnOnce() -> String) -> Checked {
        if holds || self.only.is_some_and(|only| only != invariant) {
            return Ok(());
        }
        Err(Violation { invariant, what: what() })
    }

    /// A shard was read under an epoch.
    pub fn loaded(&mut self, shard: u16, epoch: u64) {
        let highest = self.epochs.entry(shard).or_default();
        *highest = epoch.max(*highest);
    }

    /// An owner died.
    pub fn crashed(&mut self, in_flight: Option<&Commit>) {
        self.decided_by_the_dead += in_flight.map_or(0, |commit| commit.dispatched.len());
    }

    /// The bus accepted a task.
    pub fn queued(&mut self, subject: Subject, is_reported: bool) {
        if is_reported {
            self.overtaken.insert(subject);
        }
    }

    /// A worker reports what the database takes for no data.
    pub fn poisoned(&mut self, run: RunId) {
        self.poisoned.insert(run);
    }

    /// A message was buried, or a report of it, which says nothing of its other reports.
    pub fn buried(&mut self, seq: u64, said: Option<&InboxMessage>) {
        if !matches!(said, Some(InboxMessage::Reports(_))) {
            self.buried.insert(seq);
        }
    }

    /// Somebody submits under a key.
    pub fn submitted(&mut self, key: &str, run: RunId) {
        self.keys.entry(key.to_owned()).or_default().insert(run);
    }

    /// An execution begins: without faults one for each attempt, and crashes of owners cause none.
    pub fn started(&mut self, subject: Subject) -> Checked {
        let count = self.executions.entry(subject).or_default();
        *count += 1;
        let again = *count > 1 && !(self.has_faults && self.overtaken.contains(&subject));
        let matters = !self.has_faults || self.only_crashes;
        self.require(9, !(again && matters), || format!("{subject:?} is executed again"))
    }

    pub fn executions_of(&self, subject: Subject) -> u32 {
        self.executions.get(&subject).copied().unwrap_or(0)
    }

    /// Faults ended long ago, and something has not ended.
    pub fn never_ends(&self, store: &Store, why: &str) -> Checked {
        let open: Vec<_> = store
            .runs
            .values()
            .filter(|run| !run.state().is_final())
            .map(|run| run.row.id)
            .collect();
        let is_held = |record: &RunRecord| {
            !record.state().is_final()
                && record.timers.values().any(|timer| timer.due_at_ms == Pause::HELD)
        };
        let held: Vec<_> =
            store.runs.values().filter(|run| is_held(run)).map(|run| run.row.id).collect();
        self.require(16, held.is_empty(), || {
            format!("{held:?} wait for objects that nobody makes again; {why}")
        })?;
        self.require(17, false, || format!("after all faults have ended: runs {open:?}; {why}"))
    }

    /// What must hold once everything has ended.
    pub fn at_the_end(&self, store: &Store) -> Checked {
        for (key, runs) in &self.keys {
            let begun = runs.iter().filter(|run| store.runs.contains_key(run)).count();
            self.require(3, begun <= 1, || format!("{key} stands for {begun} runs"))?;
        }
        for record in store.runs.values() {
            let is_over = record.dispatch.is_empty() && record.timers.is_empty();
            self.require(4, is_over, || format!("{} has ended and is live", record.row.id))?;
        }
        let strays =
            self.executions.keys().filter(|subject| !self.decided.contains(subject)).count();
        self.require(9, !self.only_crashes || strays <= self.decided_by_the_dead, || {
            format!("{strays} executions of attempts that nobody decided")
        })
    }
}

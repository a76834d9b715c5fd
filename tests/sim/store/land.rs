//! How a commit lands.

use std::collections::btree_map::Entry;

use maestro_engine::shard::commit::{Commit, ShardAdvance};
use maestro_engine::shard::owned::LEASE_MS;
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepState;
use serde_json::Value;

use super::record::RunRecord;
use super::{Fault, POISON, Store};

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// It stands since now.
    New,
    /// It stood already.
    Repeated,
    /// A shard has another epoch or batch.
    Refused,
    /// Some value of it is no data.
    Unacceptable,
    /// Rows and lists do not fit: never right.
    Unfit(String),
}

enum Fence {
    Open,
    Repeated,
    Shut,
}

impl Store {
    /// Lands a commit, or nothing of it.
    pub fn land(&mut self, commit: &Commit, now: u64) -> Landed {
        self.commits += 1;
        let renew = |store: &mut Self| {
            for advance in &commit.shards {
                store.shards[usize::from(advance.shard)].expires_at = now + LEASE_MS;
            }
        };
        match self.fence(&commit.shards) {
            Fence::Shut => return Landed::Refused,
            Fence::Repeated => {
                renew(self);
                return Landed::Repeated;
            }
            Fence::Open => {}
        }
        if is_poisoned(commit)
            || (self.fault == Some(Fault::BlamesAnybody) && self.commits % 40 < 12)
        {
            return Landed::Unacceptable;
        }
        renew(self);
        for advance in &commit.shards {
            let row = &mut self.shards[usize::from(advance.shard)];
            row.batch = advance.batch;
            row.clock_ms = row.clock_ms.max(advance.clock_ms);
        }
        match self.write(commit) {
            Ok(()) => Landed::New,
            Err(what) => Landed::Unfit(what),
        }
    }

    fn fence(&self, advances: &[ShardAdvance]) -> Fence {
        if self.fault == Some(Fault::IgnoresFence) {
            return Fence::Open;
        }
        let at = |advance: &ShardAdvance, behind: u64| {
            let row = &self.shards[usize::from(advance.shard)];
            row.epoch == advance.epoch && row.batch + behind == advance.batch
        };
        if advances.iter().all(|advance| at(advance, 1)) {
            Fence::Open
        } else if advances.iter().all(|advance| at(advance, 0)) {
            Fence::Repeated
        } else {
            Fence::Shut
        }
    }

    fn write(&mut self, commit: &Commit) -> Result<(), String> {
        for row in &commit.runs_begun {
            let plan = self.plans.get(&row.plan).ok_or("a run of no stored plan")?.clone();
            put(self.runs.entry(row.id), RunRecord::new(row.clone(), plan), "run")?;
        }
        self.write_dispatch(commit)?;
        self.write_steps(commit)?;
        self.write_rest(commit)?;
        for row in &commit.audits {
            put(self.audits.entry(row.command), row.clone(), "audit")?;
        }
        for row in &commit.calls {
            *self.calls.entry((row.execution, row.ordinal)).or_default() |= row.call.settled;
        }
        for row in &commit.results {
            self.results.entry((row.project.clone(), row.key)).or_insert_with(|| row.clone());
        }
        Ok(())
    }

    fn write_dispatch(&mut self, commit: &Commit) -> Result<(), String> {
        for (run, step) in &commit.undispatched {
            let gone = self.record(*run)?.dispatch.remove(step);
            gone.ok_or_else(|| format!("no dispatch row {run} {step} to delete"))?;
        }
        for row in &commit.dispatched {
            if self.fault == Some(Fault::LosesDispatch) && self.commits.is_multiple_of(10) {
                continue;
            }
            put(self.record(row.run)?.dispatch.entry(row.step), row.clone(), "dispatch")?;
        }
        Ok(())
    }

    fn write_steps(&mut self, commit: &Commit) -> Result<(), String> {
        if self.fault != Some(Fault::LosesEnds) {
            for row in &commit.attempts {
                let key = (row.step, row.token.number);
                put(self.record(row.run)?.attempts.entry(key), row.clone(), "attempt")?;
            }
        }
        let is_kept =
            |state| self.fault != Some(Fault::LosesCancels) || state != StepState::Cancelled;
        let steps: Vec<_> = commit.steps.iter().filter(|row| is_kept(row.state)).collect();
        for row in steps {
            put(self.record(row.run)?.steps.entry(row.step), row.clone(), "step")?;
        }
        for (run, step) in &commit.timers_cleared {
            let gone = self.record(*run)?.timers.remove(step);
            gone.ok_or_else(|| format!("no timer {run} {step} to delete"))?;
        }
        if self.fault != Some(Fault::LosesTimers) {
            for row in &commit.timers_set {
                put(self.record(row.run)?.timers.entry(row.step), *row, "timer")?;
            }
        }
        Ok(())
    }

    fn write_rest(&mut self, commit: &Commit) -> Result<(), String> {
        for row in &commit.fanouts {
            let fanouts = &mut self.record(row.run)?.fanouts;
            let opened = fanouts.entry(row.node).or_insert_with(|| row.clone());
            (opened.batch, opened.cursor, opened.closed) = (row.batch, row.cursor, row.closed);
        }
        for change in &commit.runs_changed {
            let mut change = change.clone();
            if self.fault == Some(Fault::LosesCancels) {
                change.cancel_reason = None;
                change.cancelled_again = false;
            }
            if self.fault == Some(Fault::LosesSecondCancels) {
                change.cancelled_again = false;
            }
            let record = self.record(change.id)?;
            record.change = Some(change);
        }
        for row in &commit.run_events {
            match self.record(row.run)?.events.insert((row.batch, row.ordinal)) {
                true => {}
                false => return Err(format!("two events {} of {}", row.ordinal, row.run)),
            }
        }
        Ok(())
    }

    fn record(&mut self, run: RunId) -> Result<&mut RunRecord, String> {
        self.runs.get_mut(&run).ok_or_else(|| format!("there is no run {run}"))
    }
}

fn put<K: Ord + std::fmt::Debug, V>(
    entry: Entry<'_, K, V>,
    value: V,
    what: &str,
) -> Result<(), String> {
    match entry {
        Entry::Occupied(entry) => Err(format!("two {what} rows {:?}", entry.key())),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}

/// Whether some value of a commit is one that the database takes for no data.
pub fn is_poisoned(commit: &Commit) -> bool {
    let bad = |value: &Value| value.as_str() == Some(POISON);
    commit.attempts.iter().any(|row| row.outputs.values().any(bad))
}

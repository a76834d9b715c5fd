//! Puts the rows of several statements together, run by run. What cannot be read spoils its own
//! run and no other.

use std::collections::{BTreeMap, HashMap};

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::{
    AttemptRow, DispatchRow, FanoutRow, RunChange, RunRow, StepRow, TimerRow,
};
use maestro_engine::shard::request::LoadedRun;
use maestro_schemas::id::RunId;
use maestro_schemas::report::Usage;
use maestro_schemas::step::StepState;
use uuid::Uuid;

use super::{Loaded, Unreadable};
use crate::store::records::{
    AttemptRecord, DispatchRecord, FanoutRecord, ItemRecord, PlanRecord, RunRecord, SpentRecord,
    StepRecord, TimerRecord,
};
use crate::store::{Error, plan};

/// Runs that are being put together.
pub(super) struct Assembly {
    parts: BTreeMap<Uuid, Parts>,
    plans: HashMap<(String, Vec<u8>), Result<CheckedPlan, String>>,
}

#[derive(Default)]
struct Parts {
    project: String,
    plan: Vec<u8>,
    row: Option<RunRow>,
    change: Option<RunChange>,
    steps: Vec<StepRow>,
    attempts: Vec<AttemptRow>,
    items: Vec<(u32, u32, StepState)>,
    dispatched: Vec<DispatchRow>,
    timers: Vec<TimerRow>,
    fanouts: Vec<FanoutRow>,
    spent: Usage,
    fault: Option<String>,
}

impl Parts {
    fn of(record: &RunRecord) -> Self {
        let mut parts =
            Self { project: record.project.clone(), plan: record.plan.clone(), ..Self::default() };
        parts.row = parts.take(record.row());
        parts.change = parts.take(record.change()).flatten();
        parts
    }

    /// The value, or nothing and the run is spoilt.
    fn take<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.fault = Some(error.to_string())).ok()
    }

    fn finish(self, plan: Result<CheckedPlan, String>) -> Result<LoadedRun, String> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        Ok(LoadedRun {
            row: self.row.ok_or("its row cannot be read")?,
            change: self.change,
            plan: plan?,
            steps: self.steps,
            attempts: self.attempts,
            items: self.items,
            dispatched: self.dispatched,
            timers: self.timers,
            fanouts: self.fanouts,
            item_outputs: BTreeMap::new(),
            spent: self.spent,
        })
    }
}

impl Assembly {
    pub(super) fn of(rows: Vec<RunRecord>) -> Self {
        let parts = rows.iter().map(|row| (row.id, Parts::of(row))).collect();
        Self { parts, plans: HashMap::new() }
    }

    pub(super) fn plan(&mut self, record: PlanRecord) {
        let checked = plan::checked(&record.body).map_err(|error| error.to_string());
        self.plans.insert((record.project, record.digest), checked);
    }

    pub(super) fn step(&mut self, record: StepRecord) {
        let run = record.place.run;
        self.put(run, record.row(), |parts, row| parts.steps.push(row));
    }

    pub(super) fn attempt(&mut self, record: AttemptRecord) {
        let run = record.place.run;
        self.put(run, record.row(), |parts, row| parts.attempts.push(row));
    }

    pub(super) fn item(&mut self, record: ItemRecord) {
        self.put(record.run, record.row(), |parts, row| parts.items.push(row));
    }

    pub(super) fn dispatched(&mut self, record: DispatchRecord) {
        let run = record.place.run;
        self.put(run, record.row(), |parts, row| parts.dispatched.push(row));
    }

    pub(super) fn timer(&mut self, record: TimerRecord) {
        let run = record.place.run;
        self.put(run, record.row(), |parts, row| parts.timers.push(row));
    }

    pub(super) fn fanout(&mut self, record: FanoutRecord) {
        self.put(record.run, record.row(), |parts, row| parts.fanouts.push(row));
    }

    pub(super) fn spent(&mut self, record: SpentRecord) {
        self.put(record.run, record.row(), |parts, row| parts.spent = row);
    }

    pub(super) fn finish(self) -> Loaded {
        let mut loaded = Loaded::default();
        for (id, parts) in self.parts {
            let missing = || Err("its plan is not stored".to_owned());
            let key = (parts.project.clone(), parts.plan.clone());
            let plan = self.plans.get(&key).cloned().unwrap_or_else(missing);
            let (run, project) = (RunId::from_uuid(id), parts.project.clone());
            match parts.finish(plan) {
                Ok(run) => loaded.runs.push(run),
                Err(reason) => loaded.unreadable.push(Unreadable { run, project, reason }),
            }
        }
        loaded
    }

    fn put<T>(&mut self, run: Uuid, read: Result<T, Error>, put: impl FnOnce(&mut Parts, T)) {
        if let Some(parts) = self.parts.get_mut(&run)
            && let Some(row) = parts.take(read)
        {
            put(parts, row);
        }
    }
}

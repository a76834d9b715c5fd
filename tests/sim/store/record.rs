//! The rows of one run.

use std::collections::{BTreeMap, BTreeSet};

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::{
    AttemptRow, DispatchRow, FanoutRow, RunChange, RunRow, StepRow, TimerRow,
};
use maestro_engine::shard::request::LoadedRun;
use maestro_schemas::report::Usage;
use maestro_schemas::step::{RunState, StepAddress, StepState};

/// The rows of one run.
#[derive(Debug, Clone)]
pub struct RunRecord {
    pub row: RunRow,
    pub plan: CheckedPlan,
    pub change: Option<RunChange>,
    pub steps: BTreeMap<StepAddress, StepRow>,
    pub attempts: BTreeMap<(StepAddress, u32), AttemptRow>,
    pub dispatch: BTreeMap<StepAddress, DispatchRow>,
    pub timers: BTreeMap<StepAddress, TimerRow>,
    pub fanouts: BTreeMap<u32, FanoutRow>,
    pub events: BTreeSet<(u64, u32)>,
}

impl RunRecord {
    pub fn new(row: RunRow, plan: CheckedPlan) -> Self {
        Self {
            row,
            plan,
            change: None,
            steps: BTreeMap::new(),
            attempts: BTreeMap::new(),
            dispatch: BTreeMap::new(),
            timers: BTreeMap::new(),
            fanouts: BTreeMap::new(),
            events: BTreeSet::new(),
        }
    }

    pub fn state(&self) -> RunState {
        self.change.as_ref().map_or(self.row.state, |change| change.state)
    }

    /// The last state that a row says of a step; absent where none does.
    pub fn step_state(&self, step: StepAddress) -> Option<StepState> {
        if let Some(row) = self.steps.get(&step) {
            return Some(row.state);
        }
        self.attempts.range((step, 0)..=(step, u32::MAX)).next_back().map(|(_, row)| row.state)
    }

    /// Whether a node has ended, by the rows alone.
    pub fn node_ended(&self, node: u32) -> bool {
        let Some(fanout) = self.fanouts.get(&node) else {
            return self.step_state(StepAddress::node(node)).is_some_and(StepState::is_final);
        };
        let reused = |item: u32| {
            fanout
                .reused
                .as_ref()
                .is_some_and(|bytes| bytes[item as usize / 8] >> (item % 8) & 1 == 1)
        };
        (0..fanout.count).all(|item| {
            reused(item)
                || self.step_state(StepAddress::item(node, item)).is_some_and(StepState::is_final)
                || (fanout.closed && item >= fanout.cursor)
        })
    }

    /// What a new owner reads: of a fan-out's steps only their states.
    pub fn load(&self) -> LoadedRun {
        let is_item = |step: &StepAddress| self.fanouts.contains_key(&step.node);
        let mut last: BTreeMap<StepAddress, &AttemptRow> = BTreeMap::new();
        last.extend(self.attempts.iter().map(|((step, _), row)| (*step, row)));
        let ended = self.attempts.values().filter(|row| row.state != StepState::Waiting);
        let of_attempts = ended.map(|row| (row.step, row.state));
        let of_steps = self.steps.values().map(|row| (row.step, row.state));
        LoadedRun {
            row: self.row.clone(),
            change: self.change.clone(),
            plan: self.plan.clone(),
            steps: self.steps.values().filter(|row| !is_item(&row.step)).cloned().collect(),
            attempts: last
                .into_iter()
                .filter(|(step, _)| !is_item(step))
                .map(|(_, row)| row.clone())
                .collect(),
            items: of_attempts
                .chain(of_steps)
                .filter(|(step, _)| is_item(step))
                .map(|(step, state)| (step.node, step.item, state))
                .collect(),
            dispatched: self.dispatch.values().cloned().collect(),
            timers: self.timers.values().copied().collect(),
            fanouts: self.fanouts.values().cloned().collect(),
            item_outputs: BTreeMap::new(),
            spent: self.spent(),
        }
    }

    fn spent(&self) -> Usage {
        self.attempts.values().fold(Usage::default(), |sum, row| Usage {
            wall_ms: sum.wall_ms + row.usage.wall_ms,
            cpu_ms: sum.cpu_ms + row.usage.cpu_ms,
            cost_microusd: sum.cost_microusd + row.usage.cost_microusd,
        })
    }
}

//! A run as it is known to a viewer: the steps as they were read, and every event since folded in.
//!
//! What must stay true: an event that comes twice, late or not at all leaves nothing but a delay
//! (the rows are read again at the end); a step never leaves a state that is final.

use std::collections::BTreeMap;

use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::api::steps::{ItemCounts, StepView};
use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::Failure;
use maestro_schemas::step::{RunState, StepAddress, StepState};

use crate::view::clean::clean;

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The pipeline's name.
    pub pipeline: String,
    /// Where it stands.
    pub state: RunState,
    /// The first thing that went wrong.
    pub cause: Option<String>,
    /// Milliseconds since 1970, by the server's clock.
    pub created_at_ms: u64,
    /// Milliseconds since 1970, by the server's clock.
    pub ended_at_ms: Option<u64>,
    /// In the plan's order.
    pub steps: Vec<Step>,
    /// This machine's clock less the server's, in milliseconds, as far as events tell.
    ahead_ms: Option<i64>,
}

/// A step, or a fan-out shown as one.
#[derive(Debug, Clone)]
pub struct Step {
    /// `stage/name`.
    pub id: String,
    /// Its numbers.
    pub address: StepAddress,
    /// The stage's name.
    pub stage: String,
    /// Where it stands.
    pub state: StepState,
    /// The last attempt's number; 0 before the first.
    pub attempt: u32,
    /// Who has it in hand.
    pub worker: Option<String>,
    /// Milliseconds since 1970, by the server's clock.
    pub started_at_ms: Option<u64>,
    /// Milliseconds since 1970, by the server's clock.
    pub ended_at_ms: Option<u64>,
    /// When the next attempt begins, where it waits for that.
    pub retry_at_ms: Option<u64>,
    /// What went wrong last.
    pub failure: Option<Failure>,
    /// Why it was skipped, or where its result came from.
    pub reason: Option<String>,
    /// How far it is, where it is a fan-out.
    pub items: Option<ItemCounts>,
    /// The last lines of a failed attempt's output, cleaned.
    pub tail: Vec<String>,
    /// States of the items that events told of.
    seen: BTreeMap<u32, StepState>,
}

impl Run {
    /// What the server said of it.
    pub fn new(detail: &RunDetail, steps: Vec<StepView>) -> Self {
        let summary = &detail.summary;
        Self {
            id: summary.id,
            pipeline: clean(&summary.pipeline),
            state: summary.state,
            cause: summary.cause.as_deref().map(clean),
            created_at_ms: summary.created_at_ms,
            ended_at_ms: summary.ended_at_ms,
            steps: steps.into_iter().map(Step::new).collect(),
            ahead_ms: None,
        }
    }

    /// Takes what the server says now, and keeps what only this viewer knows.
    pub fn refresh(&mut self, detail: &RunDetail, steps: Vec<StepView>) {
        let mut fresh = Self::new(detail, steps);
        fresh.ahead_ms = self.ahead_ms;
        for step in &mut fresh.steps {
            if let Some(old) = self.steps.iter_mut().find(|old| old.address == step.address) {
                step.tail = std::mem::take(&mut old.tail);
                step.worker = step.worker.take().or_else(|| old.worker.take());
            }
        }
        *self = fresh;
    }

    /// Folds an event that arrived when this machine's clock stood at `here_ms`.
    pub fn fold(&mut self, event: &Event, here_ms: u64) {
        self.compare_clocks(event.at_ms, here_ms);
        match &event.kind {
            EventKind::Run { state, cause } => {
                if !self.state.is_final() {
                    self.state = *state;
                    self.ended_at_ms = state.is_final().then_some(event.at_ms);
                }
                if let Some(cause) = cause {
                    self.cause = Some(clean(cause));
                }
            }
            EventKind::Step { address, state, attempt, failure, retry_at_ms, .. } => {
                let Some(step) = self.step_mut(*address) else { return };
                if step.items.is_some() {
                    step.count(address.item, *state);
                    if failure.is_some() {
                        step.failure.clone_from(failure);
                    }
                } else if !step.state.is_final() && *attempt >= step.attempt {
                    step.turn(*state, event.at_ms);
                    step.attempt = *attempt;
                    step.retry_at_ms = *retry_at_ms;
                    step.failure = failure.clone().or_else(|| step.failure.take());
                }
            }
            EventKind::Started { address, attempt, worker, .. } => {
                let Some(step) = self.step_mut(*address) else { return };
                if !step.state.is_final() && *attempt >= step.attempt {
                    step.worker = Some(clean(worker));
                }
            }
        }
    }

    /// The step of an address; every item of a fan-out is the fan-out.
    pub fn step(&self, address: StepAddress) -> Option<&Step> {
        self.position(address).and_then(|at| self.steps.get(at))
    }

    /// The same, to be changed.
    pub fn step_mut(&mut self, address: StepAddress) -> Option<&mut Step> {
        self.position(address).and_then(|at| self.steps.get_mut(at))
    }

    /// Where it stands: at its node's number, unless the server lists otherwise.
    fn position(&self, address: StepAddress) -> Option<usize> {
        let likely = usize::try_from(address.node).ok()?;
        match self.steps.get(likely) {
            Some(step) if step.is(address) => Some(likely),
            _ => self.steps.iter().position(|step| step.is(address)),
        }
    }

    /// The stages in order, each with its steps.
    pub fn stages(&self) -> Vec<(&str, Vec<&Step>)> {
        let mut stages: Vec<(&str, Vec<&Step>)> = Vec::new();
        for step in &self.steps {
            match stages.iter_mut().find(|(name, _)| *name == step.stage) {
                Some((_, steps)) => steps.push(step),
                None => stages.push((&step.stage, vec![step])),
            }
        }
        stages
    }

    /// Steps that have ended and steps in all; a fan-out counts its items.
    pub fn progress(&self) -> (u64, u64) {
        self.steps.iter().fold((0, 0), |(ended, total), step| match step.items {
            Some(items) => (ended + u64::from(items.ended), total + u64::from(items.total.max(1))),
            None => (ended + u64::from(step.state.is_final()), total + 1),
        })
    }

    /// The server's time when this machine's is `here_ms`.
    pub fn server_ms(&self, here_ms: u64) -> u64 {
        here_ms.saturating_add_signed(self.ahead_ms.unwrap_or(0).saturating_neg())
    }

    /// For how long it has been going on, in milliseconds.
    pub fn elapsed_ms(&self, here_ms: u64) -> u64 {
        let end = self.ended_at_ms.unwrap_or_else(|| self.server_ms(here_ms));
        end.saturating_sub(self.created_at_ms)
    }

    /// The least that was ever seen is nearest the truth: all else was under way for longer.
    fn compare_clocks(&mut self, at_ms: u64, here_ms: u64) {
        if at_ms == 0 {
            return;
        }
        let ahead = i64::try_from(i128::from(here_ms) - i128::from(at_ms)).unwrap_or(0);
        self.ahead_ms = Some(self.ahead_ms.map_or(ahead, |least| least.min(ahead)));
    }
}

impl Step {
    fn new(view: StepView) -> Self {
        Self {
            id: clean(&view.id),
            address: view.address,
            stage: clean(&view.stage),
            state: view.state,
            attempt: view.attempts,
            worker: view.worker.as_deref().map(clean),
            started_at_ms: view.started_at_ms,
            ended_at_ms: view.ended_at_ms,
            retry_at_ms: None,
            failure: view.failure,
            reason: view.reason.as_deref().map(clean),
            items: view.items,
            tail: Vec::new(),
            seen: BTreeMap::new(),
        }
    }

    /// Its id without the stage's name.
    pub fn name(&self) -> &str {
        self.id
            .strip_prefix(&self.stage)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or(&self.id)
    }

    /// For how long it has been live, or was, in milliseconds.
    pub fn elapsed_ms(&self, server_ms: u64) -> Option<u64> {
        let end = self.ended_at_ms.unwrap_or(server_ms);
        self.started_at_ms.map(|start| end.saturating_sub(start))
    }

    /// Whether it or an item of it has failed.
    pub fn has_failed(&self) -> bool {
        self.state == StepState::Failed || self.items.is_some_and(|items| items.failed > 0)
    }

    /// Whether it stands for this address.
    pub fn is(&self, address: StepAddress) -> bool {
        self.address.node == address.node
            && self.address.visit == address.visit
            && (self.items.is_some() || self.address.item == address.item)
    }

    fn turn(&mut self, state: StepState, at_ms: u64) {
        match state {
            StepState::Live if self.state != StepState::Live => {
                self.started_at_ms = Some(at_ms);
                self.worker = None;
            }
            StepState::Waiting => self.worker = None,
            _ if state.is_final() => self.ended_at_ms = Some(at_ms),
            _ => {}
        }
        self.state = state;
    }

    /// Counts an item's change once, however often it is told.
    fn count(&mut self, item: u32, state: StepState) {
        let before = self.seen.get(&item).copied();
        let Some(items) = &mut self.items else { return };
        if before == Some(state) || before.is_some_and(StepState::is_final) {
            return;
        }
        let was_live = before == Some(StepState::Live);
        if state == StepState::Live {
            items.live += 1;
        } else if state.is_final() {
            // One that nobody told of was live already when the steps were read, or never was.
            let lived = was_live
                || (before.is_none() && matches!(state, StepState::Succeeded | StepState::Failed));
            items.live = items.live.saturating_sub(u32::from(lived));
            items.ended = items.ended.saturating_add(1).min(items.total.max(1));
            items.failed += u32::from(state == StepState::Failed);
        } else if was_live {
            items.live = items.live.saturating_sub(1);
        }
        self.seen.insert(item, state);
        if !self.state.is_final() {
            self.state = StepState::Live;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use maestro_schemas::api::runs::RunSummary;
    use maestro_schemas::digest::Digest;
    use maestro_schemas::outcome::FailureClass;

    /// A run that began at 1,000 ms.
    pub fn detail() -> RunDetail {
        RunDetail {
            summary: RunSummary {
                id: "run_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
                project: "default".into(),
                pipeline: "demo".into(),
                state: RunState::Running,
                cause: None,
                plan: Digest::of(b"plan"),
                labels: BTreeMap::new(),
                created_at_ms: 1_000,
                ended_at_ms: None,
                steps_total: 3,
                steps_ended: 0,
                steps_failed: 0,
                steps_cached: 0,
                rerun_of: None,
                cost_microusd: 0,
                work_ms: 0,
            },
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            batch: 1,
        }
    }

    /// A waiting step.
    pub fn step(id: &str, node: u32, items: Option<u32>) -> StepView {
        StepView {
            id: id.into(),
            address: StepAddress::node(node),
            stage: id.split('/').next().unwrap().into(),
            action: "shell".into(),
            pool: "build".into(),
            state: StepState::Waiting,
            needs: vec![],
            attempts: 0,
            worker: None,
            started_at_ms: None,
            ended_at_ms: None,
            failure: None,
            reason: None,
            outputs: Default::default(),
            artifacts: vec![],
            items: items.map(|total| ItemCounts { total, ..ItemCounts::default() }),
        }
    }

    /// `build/compile`, `test/unit`, `test/shard` with 4 items.
    pub fn run() -> Run {
        let steps = vec![
            step("build/compile", 0, None),
            step("test/unit", 1, None),
            step("test/shard", 2, Some(4)),
        ];
        Run::new(&detail(), steps)
    }

    /// A step's event.
    pub fn turned(address: StepAddress, state: StepState, attempt: u32, at_ms: u64) -> Event {
        let failure = (state == StepState::Failed).then(|| {
            let mut failure = Failure::new(FailureClass::Permanent, "2 tests failed");
            failure.exit_code = Some(1);
            failure
        });
        Event {
            run: detail().summary.id,
            batch: 2,
            at_ms,
            kind: EventKind::Step {
                address,
                step: format!("step[{}]", address.item),
                state,
                attempt,
                failure,
                retry_at_ms: None,
            },
        }
    }

    /// An execution's begin.
    pub fn started(address: StepAddress, attempt: u32, worker: &str) -> Event {
        let kind =
            EventKind::Started { address, step: "step".into(), attempt, worker: worker.into() };
        Event { run: detail().summary.id, batch: 0, at_ms: 0, kind }
    }

    #[test]
    fn a_step_is_live_from_its_event_to_its_end_and_no_further() {
        let mut run = run();
        let unit = StepAddress::node(1);
        run.fold(&turned(unit, StepState::Live, 1, 2_000), 2_000);
        run.fold(&started(unit, 1, "host-1"), 2_100);
        assert_eq!(run.step(unit).unwrap().worker.as_deref(), Some("host-1"));
        run.fold(&turned(unit, StepState::Failed, 1, 3_000), 3_000);
        run.fold(&turned(unit, StepState::Live, 1, 2_000), 3_100);
        let step = run.step(unit).unwrap();
        assert_eq!((step.state, step.elapsed_ms(9_000)), (StepState::Failed, Some(1_000)));
        assert_eq!(run.progress(), (1, 6));
    }

    #[test]
    fn items_are_counted_once_however_often_they_are_told() {
        let mut run = run();
        let item = |number| StepAddress::item(2, number);
        for _ in 0..3 {
            run.fold(&turned(item(0), StepState::Live, 1, 2_000), 2_000);
            run.fold(&turned(item(1), StepState::Live, 1, 2_000), 2_000);
            run.fold(&turned(item(0), StepState::Succeeded, 1, 2_500), 2_500);
            run.fold(&turned(item(1), StepState::Failed, 1, 2_600), 2_600);
        }
        let counts = run.step(item(0)).unwrap().items.unwrap();
        assert_eq!(counts, ItemCounts { total: 4, ended: 2, failed: 1, live: 0 });
    }

    #[test]
    fn a_server_whose_clock_differs_does_not_bend_the_times() {
        let mut run = run();
        run.fold(&turned(StepAddress::node(0), StepState::Live, 1, 2_000), 100_005);
        run.fold(&turned(StepAddress::node(0), StepState::Live, 1, 2_500), 103_000);
        assert_eq!(run.elapsed_ms(101_005), 2_000);
    }
}

//! Lists the steps of a run in the plan's order, a fan-out as one.

use std::collections::BTreeMap;
use std::ops::Range;

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::{AttemptRow, DispatchRow, StepRow};
use maestro_schemas::api::steps::{StepPage, StepView};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::plan::Node;
use maestro_schemas::step::{RunState, StepAddress, StepState};

use super::{App, Error};
use crate::store::run::Head;
use crate::store::step::FanoutSight;
use crate::store::{self, attempt, plan, run, step};

/// The nodes of a page.
pub const PAGE: u32 = 500;

/// The most live attempts that are looked at for a page.
const LIVE_MAX: u16 = 10_000;

impl App {
    /// A page of steps; `cursor` is what the page before gave.
    pub async fn list_steps(
        &self,
        project: &ProjectName,
        run: RunId,
        cursor: Option<&str>,
    ) -> Result<StepPage, Error> {
        let start: u32 = match cursor.map(str::parse) {
            None => 0,
            Some(Ok(start)) => start,
            Some(Err(_)) => {
                return Err(Error::invalid(
                    "cursor",
                    "expected what the page before gave as `next`",
                ));
            }
        };
        let (head, plan) = self.head_and_plan(project, run).await?;
        let end =
            u32::try_from(plan.nodes.len()).unwrap_or(u32::MAX).min(start.saturating_add(PAGE));
        let sights = self.sights(head, start..end).await?;
        let nodes = (start..end).filter_map(|index| Some((index, plan.nodes.get(index as usize)?)));
        let steps = nodes.map(|(index, node)| sights.view(&plan, index, node)).collect();
        let next = (plan.nodes.len() > end as usize).then(|| end.to_string());
        Ok(StepPage { steps, next })
    }

    /// A run of the project and its plan.
    pub(super) async fn head_and_plan(
        &self,
        project: &ProjectName,
        run: RunId,
    ) -> Result<(Head, CheckedPlan), Error> {
        let head = run::head(&self.pool, project, run).await?;
        let head = head.ok_or_else(|| Error::not_found("run", run))?;
        let plan = match plan::load(&self.pool, project, head.plan).await {
            // Of a run that was set aside people see what there is.
            Err(store::Error::Unreadable { .. }) if head.state == RunState::Quarantined => {
                Some(CheckedPlan::unreadable(head.plan))
            }
            plan => plan?,
        };
        Ok((head, plan.ok_or_else(|| Error::not_found("plan", head.plan))?))
    }

    async fn sights(&self, head: Head, nodes: Range<u32>) -> Result<Sights, Error> {
        let attempts = attempt::latest(&self.pool, head.id, nodes.clone()).await?;
        let concluded = step::concluded(&self.pool, head.id, nodes.clone()).await?;
        let live = step::live(&self.pool, head.id, nodes.clone(), LIVE_MAX).await?;
        let fanouts = step::fanouts(&self.pool, head.id, nodes).await?;
        let mut workers = BTreeMap::new();
        for heartbeat in self.bus.workers() {
            for execution in heartbeat.running.iter().filter(|execution| execution.run == head.id) {
                workers.insert((execution.step, execution.token.number), heartbeat.name.clone());
            }
        }
        Ok(Sights {
            run: head.state,
            attempts: latest_that_count(attempts),
            concluded: of_nodes(concluded.into_iter(), |row| row.step),
            live: of_nodes(live.into_iter().rev(), |row| row.step),
            fanouts: fanouts.into_iter().map(|sight| (sight.node, sight)).collect(),
            workers,
        })
    }
}

/// A step's id for people; absent where the plan has no such node.
pub(crate) fn step_name(plan: &CheckedPlan, step: StepAddress) -> Option<String> {
    let node = plan.nodes.get(step.node as usize)?;
    Some(match node.for_each {
        Some(_) => format!("{}[{}]", node.id, step.item),
        None => node.id.clone(),
    })
}

/// The last row of each node. A visit, which makes again what was lost, leaves its node ended.
fn of_nodes<T>(
    rows: impl Iterator<Item = T>,
    step: impl Fn(&T) -> StepAddress,
) -> BTreeMap<u32, T> {
    rows.filter(|row| step(row).visit == 0).map(|row| (step(&row).node, row)).collect()
}

/// The attempt that each node's view tells of: of its visits the last that succeeded.
fn latest_that_count(rows: Vec<AttemptRow>) -> BTreeMap<u32, AttemptRow> {
    let counts = |row: &AttemptRow| row.step.visit == 0 || row.state.is_success();
    rows.into_iter().filter(counts).map(|row| (row.step.node, row)).collect()
}

/// What the rows say of some nodes.
struct Sights {
    run: RunState,
    attempts: BTreeMap<u32, AttemptRow>,
    concluded: BTreeMap<u32, StepRow>,
    live: BTreeMap<u32, DispatchRow>,
    fanouts: BTreeMap<u32, FanoutSight>,
    workers: BTreeMap<(StepAddress, u32), String>,
}

impl Sights {
    fn view(&self, plan: &CheckedPlan, index: u32, node: &Node) -> StepView {
        let fanout = self.fanouts.get(&index);
        let live = self.live.get(&index);
        let attempt = self.attempts.get(&index);
        let concluded = self.concluded.get(&index);
        let id = |index: &u32| plan.nodes.get(*index as usize).map(|node| node.id.clone());
        let stage = plan.stages.get(node.stage as usize);
        let mut view = StepView {
            id: node.id.clone(),
            address: StepAddress::node(index),
            stage: stage.map(|stage| stage.name.clone()).unwrap_or_default(),
            action: node.action.name.clone(),
            pool: node.pool.to_string(),
            state: self.state(index),
            needs: node.needs.iter().filter_map(id).collect(),
            attempts: live
                .map(|row| row.token.number)
                .or(attempt.map(|row| row.token.number))
                .unwrap_or(0),
            worker: None,
            started_at_ms: None,
            ended_at_ms: None,
            failure: None,
            reason: concluded.map(|row| row.reason.clone()),
            outputs: BTreeMap::new(),
            artifacts: Vec::new(),
            items: fanout.map(|fanout| fanout.counts),
        };
        if fanout.is_none() {
            self.tell_attempt(&mut view, index);
        }
        view
    }

    /// What the last attempt and a conclusion without one add.
    fn tell_attempt(&self, view: &mut StepView, index: u32) {
        if let Some(row) = self.attempts.get(&index) {
            view.worker = row.worker.clone();
            view.started_at_ms = Some(row.decided_at_ms);
            view.ended_at_ms = row.state.is_final().then_some(row.ended_at_ms);
            view.failure = row.failure.clone();
            view.outputs = row.outputs.clone();
            view.artifacts = row.artifacts.clone();
        }
        if let Some(row) = self.live.get(&index) {
            view.worker = self.workers.get(&(row.step, row.token.number)).cloned();
            view.started_at_ms = Some(row.decided_at_ms);
            view.ended_at_ms = None;
        }
        if let Some(row) = self.concluded.get(&index) {
            if self.attempts.get(&index).is_some_and(|attempt| attempt.step.visit > 0) {
                return;
            }
            view.ended_at_ms = Some(row.ended_at_ms);
            view.outputs = row.outputs.clone();
            view.artifacts.extend(row.artifacts.iter().cloned());
        }
    }

    fn state(&self, index: u32) -> StepState {
        if let Some(fanout) = self.fanouts.get(&index) {
            return self.fanout_state(fanout);
        }
        if let Some(row) = self.concluded.get(&index) {
            return row.state;
        }
        match (self.live.get(&index), self.attempts.get(&index)) {
            (Some(_), _) if self.run == RunState::Cancelling => StepState::Cancelling,
            (Some(_), _) => StepState::Live,
            (None, Some(row)) if row.state.is_final() => row.state,
            (None, _) => self.waiting(),
        }
    }

    fn fanout_state(&self, fanout: &FanoutSight) -> StepState {
        let counts = fanout.counts;
        match () {
            () if counts.live > 0 && self.run == RunState::Cancelling => StepState::Cancelling,
            () if counts.live > 0 => StepState::Live,
            () if counts.ended < counts.total && counts.failed == 0 => self.waiting(),
            () if counts.ended < counts.total && !self.run.is_final() => StepState::Waiting,
            () if counts.failed > 0 => StepState::Failed,
            () if fanout.dropped > 0 => StepState::Cancelled,
            () => StepState::Succeeded,
        }
    }

    /// A step that nothing happened to: nothing more will, once the run has ended.
    const fn waiting(&self) -> StepState {
        if self.run.is_final() { StepState::Cancelled } else { StepState::Waiting }
    }
}

//! How an event changes a run: every legal pair of event and status is an arm, and an event that
//! fits nothing changes nothing.

use std::sync::Arc;

use maestro_schemas::step::{RunState, StepAddress, StepState};

use super::bits::Bits;
use super::{Conclusion, Fanout, Live, Made, NodeStatus, Run, Sight};
use crate::decide::cancel::survives;
use crate::event::{ConcludedStep, EndedAttempt, Event};

impl Run {
    /// Changes the run by what was decided, at `now_ms` of the shard's clock.
    pub fn apply(&mut self, event: &Event, now_ms: u64) {
        match event {
            Event::AttemptDecided { step, token, lapses } => {
                let sight = Sight { ensured_at_ms: now_ms, ..Sight::default() };
                self.pauses.remove(step);
                self.live.insert(
                    *step,
                    Live { token: *token, lapses: *lapses, decided_at_ms: now_ms, sight },
                );
                self.release(*step);
            }
            Event::AttemptEnded(ended) => self.end_attempt(ended),
            Event::PauseBegan { step, pause } => {
                self.pauses.insert(*step, *pause);
                self.begin_visit(*step);
            }
            Event::StepConcluded(concluded) => self.conclude_step(concluded),
            Event::FanoutOpened { node, count, items, reused } => {
                let reused = reused.as_ref().map(|bytes| Bits::from_bytes(bytes, *count));
                self.open_fanout(*node, *count, items.clone().map(Arc::new), reused);
            }
            Event::FanoutClosed { node } => self.close_fanout(*node),
            Event::CancelRequested { reason } => {
                self.cancelled_again = self.is_cancelled();
                self.state = RunState::Cancelling;
                self.cancel_reason = Some(reason.clone());
                self.mark_cancelled(now_ms);
            }
            Event::Ended { state, .. } => self.state = *state,
            Event::Quarantined { reason } => {
                self.state = RunState::Quarantined;
                self.cause.get_or_insert_with(|| reason.clone());
            }
        }
    }

    /// Marks live attempts as cancelled, but for those of steps that clean up behind a first
    /// cancellation.
    pub(super) fn mark_cancelled(&mut self, now_ms: u64) {
        let all = self.cancelled_again;
        let nodes = &self.plan.nodes;
        let stays = |step: &StepAddress| nodes.get(step.node as usize).is_some_and(survives);
        for (_, live) in self.live.iter_mut().filter(|(step, _)| all || !stays(step)) {
            live.sight.cancelled_at_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn release(&mut self, step: StepAddress) {
        if step.visit > 0 {
            return self.begin_visit(step);
        }
        match self.nodes.get_mut(step.node as usize) {
            Some(NodeStatus::Fanout(fanout)) => {
                fanout.cursor = fanout.cursor.max(step.item.saturating_add(1));
                fanout.pass_ended();
            }
            Some(status) => *status = NodeStatus::Active,
            None => {}
        }
    }

    pub(super) fn open_fanout(
        &mut self,
        node: u32,
        count: u32,
        items: Option<Arc<Vec<serde_json::Value>>>,
        reused: Option<Bits>,
    ) {
        let dynamic = self
            .node(node)
            .and_then(|node| node.for_each.as_ref())
            .is_some_and(|each| matches!(each.items, maestro_schemas::plan::Items::Expression(_)));
        if dynamic {
            self.counts.steps_total =
                (self.counts.steps_total + u64::from(count)).saturating_sub(1);
        }
        let ended = reused.clone().unwrap_or_else(|| Bits::new(count));
        self.counts.steps_ended += u64::from(ended.len());
        let mut fanout = Fanout {
            count,
            cursor: 0,
            items,
            ended,
            reused,
            failed: 0,
            dropped: 0,
            unreleased: None,
        };
        fanout.pass_ended();
        let complete = fanout.is_complete();
        if let Some(status) = self.nodes.get_mut(node as usize) {
            *status = NodeStatus::Fanout(Box::new(fanout));
        }
        if complete {
            self.end_node(node, Conclusion { state: StepState::Succeeded, blocks: false });
        }
    }

    pub(super) fn close_fanout(&mut self, node: u32) {
        if let Some(NodeStatus::Fanout(fanout)) = self.nodes.get_mut(node as usize) {
            fanout.close();
            self.end_fanout_if_complete(node);
        }
    }

    fn end_attempt(&mut self, ended: &EndedAttempt) {
        self.live.remove(&ended.step);
        self.counts.cost_microusd += ended.usage.cost_microusd;
        self.counts.work_ms += ended.usage.wall_ms;
        if !ended.state.is_final() {
            return;
        }
        let made = Made { outputs: ended.outputs.clone(), artifacts: ended.artifacts.clone() };
        if ended.step.visit > 0 {
            return self.end_visit(ended.step, ended.state, made, ended.ended_at_ms);
        }
        if ended.state == StepState::Failed {
            let name = self.step_name(ended.step);
            let message =
                ended.failure.as_ref().map_or("failed", |failure| failure.message.as_str());
            self.note_cause(ended.step.node, &name, message);
        }
        self.settle(ended.step, ended.state, ended.state != StepState::Succeeded, made);
    }

    fn conclude_step(&mut self, concluded: &ConcludedStep) {
        self.pauses.remove(&concluded.step);
        let made =
            Made { outputs: concluded.outputs.clone(), artifacts: concluded.artifacts.clone() };
        if concluded.step.visit > 0 {
            return self.end_visit(concluded.step, concluded.state, made, concluded.ended_at_ms);
        }
        if concluded.state == StepState::Failed {
            let name = self.step_name(concluded.step);
            self.note_cause(concluded.step.node, &name, &concluded.reason);
        }
        self.settle(concluded.step, concluded.state, concluded.blocks, made);
    }

    fn note_cause(&mut self, node: u32, name: &str, message: &str) {
        if self.node(node).is_some_and(|node| !node.allow_failure) {
            let line = message.lines().next().unwrap_or_default();
            self.cause.get_or_insert_with(|| format!("{name}: {line}"));
        }
    }

    /// Ends one step: its node, or one item of its node's fan-out.
    pub(super) fn settle(&mut self, step: StepAddress, state: StepState, blocks: bool, made: Made) {
        match self.nodes.get_mut(step.node as usize) {
            Some(NodeStatus::Fanout(fanout)) => {
                if !fanout.ended.insert(step.item) {
                    return;
                }
                fanout.pass_ended();
                match state {
                    StepState::Failed => fanout.failed += 1,
                    StepState::Cancelled | StepState::Skipped => fanout.dropped += 1,
                    _ => {}
                }
                self.count(state);
                self.end_fanout_if_complete(step.node);
            }
            Some(NodeStatus::Ended(_)) | None => {}
            Some(_) => {
                self.count(state);
                if self.graph.read.get(step.node as usize) == Some(&true) && state.is_success() {
                    self.made.insert(step.node, made);
                }
                let tolerated = self.node(step.node).is_some_and(|node| node.allow_failure);
                let blocks = blocks && !(tolerated && state == StepState::Failed);
                self.end_node(step.node, Conclusion { state, blocks });
            }
        }
    }

    fn count(&mut self, state: StepState) {
        self.counts.steps_ended += 1;
        self.counts.steps_failed += u64::from(state == StepState::Failed);
        self.counts.steps_cached += u64::from(state == StepState::Cached);
    }

    pub(super) fn end_fanout_if_complete(&mut self, node: u32) {
        let Some(NodeStatus::Fanout(fanout)) = self.nodes.get(node as usize) else {
            return;
        };
        if !fanout.is_complete() {
            return;
        }
        let tolerated = self.node(node).is_some_and(|node| node.allow_failure);
        let dropped = fanout.dropped + fanout.unreleased.unwrap_or(0);
        let state = match (fanout.failed, dropped) {
            (0, 0) => StepState::Succeeded,
            (0, _) => StepState::Cancelled,
            _ => StepState::Failed,
        };
        let blocks = state == StepState::Cancelled || (state == StepState::Failed && !tolerated);
        self.end_node(node, Conclusion { state, blocks });
    }

    fn end_node(&mut self, node: u32, conclusion: Conclusion) {
        if let Some(status) = self.nodes.get_mut(node as usize) {
            *status = NodeStatus::Ended(conclusion);
        }
        let tolerated = self.node(node).is_some_and(|node| node.allow_failure);
        self.failed |= conclusion.state == StepState::Failed && !tolerated;
        self.unfinished = self.unfinished.saturating_sub(1);
        if self.node(node).is_some_and(|node| !node.finally) {
            self.ordinary_unfinished = self.ordinary_unfinished.saturating_sub(1);
        }
        let graph = Arc::clone(&self.graph);
        for dependent in graph.dependents.get(node as usize).into_iter().flatten() {
            self.meet(*dependent);
        }
        if self.ordinary_unfinished == 0 && self.node(node).is_some_and(|node| !node.finally) {
            self.open_finally();
        }
    }

    fn meet(&mut self, dependent: u32) {
        let Some(unmet) = self.unmet.get_mut(dependent as usize) else {
            return;
        };
        *unmet = unmet.saturating_sub(1);
        let met = *unmet == 0;
        let held =
            self.node(dependent).is_some_and(|node| node.finally) && self.ordinary_unfinished > 0;
        if met && !held {
            self.opened.push_back(dependent);
        }
    }
}

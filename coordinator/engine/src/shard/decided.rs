//! What was decided about a run: recorded, applied, and followed as far as it leads.

use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;

use super::batch::Batch;
use super::inputs::About;
use super::request::Ask;
use super::{Fold, record};
use crate::decide::lost;
use crate::event::Event;
use crate::run::advance::Next;
use crate::run::{Asking, NodeStatus, Run};
use crate::schedule::{Entry, Place};

impl Fold {
    /// Records and applies events, then looks at what they opened.
    pub(super) fn decided(&mut self, batch: &mut Batch, id: RunId, events: Vec<Event>) {
        for event in events {
            self.apply(batch, id, &event);
        }
        self.advance(batch, id);
    }

    pub(super) fn apply(&mut self, batch: &mut Batch, id: RunId, event: &Event) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let Some(shard) = self.shards.get(&run.shard) else {
            return;
        };
        let at = record::At { batch: shard.batch + 1, now_ms: shard.clock_ms };
        record::before(batch, run, event, at);
        batch.keep_outputs(run, event);
        run.apply(event, at.now_ms);
        record::after(batch, run, event, at);
        match event {
            Event::AttemptDecided { step, .. } => {
                if let Some(node) = run.node(step.node) {
                    self.schedule.began(&node.pool, &run.project);
                }
            }
            Event::AttemptEnded(ended) => {
                if let Some(node) = run.node(ended.step.node) {
                    self.schedule.ended(&node.pool, &run.project, at.now_ms);
                }
                self.unhold(id, ended.step.node);
                if ended.state.is_final() {
                    self.let_go(batch, id, ended.step);
                }
                self.close_on_failure(
                    batch,
                    id,
                    ended.step,
                    ended.state == maestro_schemas::step::StepState::Failed,
                );
            }
            Event::PauseBegan { step, pause } if !pause.is_held() => {
                self.timers.insert((pause.due_at_ms, id, *step));
            }
            Event::StepConcluded(concluded) => self.let_go(batch, id, concluded.step),
            Event::FanoutOpened { node, .. } => self.queue_fanout(Some(batch), id, *node),
            _ => {}
        }
    }

    /// Where a node's visit has ended, well or badly, what waits for it goes on.
    fn let_go(&mut self, batch: &mut Batch, id: RunId, ended: StepAddress) {
        if ended.visit == 0 {
            return;
        }
        let (Some(run), Some(facts)) = (self.runs.get(&id), self.facts(id)) else {
            return;
        };
        for event in lost::release(run, ended.node, facts) {
            self.apply(batch, id, &event);
        }
    }

    /// One item's failure closes a fan-out that fails fast.
    fn close_on_failure(&mut self, batch: &mut Batch, id: RunId, step: StepAddress, failed: bool) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let fast = run
            .node(step.node)
            .and_then(|node| node.for_each.as_ref())
            .is_some_and(|each| each.fail_fast);
        let open = matches!(run.status(step.node), NodeStatus::Fanout(fanout) if fanout.next_item().is_some());
        if failed && fast && open {
            self.apply(batch, id, &Event::FanoutClosed { node: step.node });
        }
    }

    /// Looks at nodes whose needs have all ended, until none is left, and ends the run where
    /// nothing is left at all.
    pub(super) fn advance(&mut self, batch: &mut Batch, id: RunId) {
        let Some(facts) = self.facts(id) else { return };
        while let Some(node) = self.runs.get_mut(&id).and_then(|run| run.opened.pop_front()) {
            let Some(run) = self.runs.get_mut(&id) else {
                return;
            };
            match run.look_at(node, facts) {
                Next::Nothing => {}
                Next::Decide(event) => self.apply(batch, id, &event),
                Next::Release => self.queue(id, node),
                Next::Ask(Asking::Result, Some(key)) => {
                    let project = run.project.clone();
                    self.ask(Ask::Result { project, key }, About::Node(id, node));
                }
                Next::Ask(Asking::ItemOutputs(source), _) => {
                    self.ask_for_outputs(Some(batch), (id, source), About::Node(id, node));
                }
                Next::Ask(Asking::Result, None) => {}
            }
        }
        if let Some(event) = self.runs.get(&id).and_then(Run::verdict) {
            self.apply(batch, id, &event);
        }
    }

    /// Goes on with a run that was just loaded.
    pub(super) fn resume(&mut self, batch: &mut Batch, id: RunId) {
        if let Some(reason) = self.poisoned.remove(&id) {
            return self.quarantine(batch, id, reason);
        }
        self.advance(batch, id);
    }

    fn queue(&mut self, id: RunId, node: u32) {
        self.enqueue(id, node, Entry::Node { run: id, node });
    }

    pub(super) fn enqueue(&mut self, id: RunId, node: u32, entry: Entry) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let Some(planned) = run.node(node) else {
            return;
        };
        let place = Place { priority: planned.priority, project: run.project.clone() };
        self.schedule.push(&planned.pool, place, entry);
    }

    /// Puts a fan-out in line, once the outputs that it reads are there and it is known whether its
    /// next item needs to be executed.
    pub(super) fn queue_fanout(&mut self, batch: Option<&mut Batch>, id: RunId, node: u32) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let NodeStatus::Fanout(fanout) = run.status(node) else {
            return;
        };
        let Some(item) = fanout.next_item() else {
            return;
        };
        if let Some(source) = run.unread_items(node) {
            return self.ask_for_outputs(batch, (id, source), About::Source(id, node, source));
        }
        match self.is_looked_up((id, node), item) {
            true => self.enqueue(id, node, Entry::Items { run: id, node }),
            false => self.look_up((id, node)),
        }
    }

    /// Asks for the outputs of a fan-out. Where this very batch changes the run's shard, the ends
    /// of its items may be in it, and must stand before their rows are read.
    fn ask_for_outputs(
        &mut self,
        batch: Option<&mut Batch>,
        (run, node): (RunId, u32),
        about: About,
    ) {
        let shard = self.runs.get(&run).map(|run| run.shard);
        let request = self.question(Ask::ItemOutputs { run, node }, about);
        match batch.filter(|batch| shard.is_some_and(|shard| batch.touched.contains(&shard))) {
            Some(batch) => batch.after.push(request),
            None => self.requests.push(request),
        }
    }

    /// Puts a loaded run's open fan-outs in line.
    pub(super) fn queue_fanouts(&mut self, id: RunId) {
        let count = self.runs.get(&id).map_or(0, |run| run.nodes.len());
        (0u32..).take(count).for_each(|node| self.queue_fanout(None, id, node));
    }
}

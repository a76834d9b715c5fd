//! What becomes of a node whose needs have all ended. A step takes what it needs in one order:
//! inputs, gate, verdict, limits by name, window.

use std::sync::Arc;

use maestro_schemas::action::Effect;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{Items, Node};
use maestro_schemas::step::{RunState, StepAddress, StepState};

use super::{Asking, NodeStatus, Run};
use crate::decide::Facts;
use crate::decide::cancel::survives;
use crate::event::{ConcludedStep, Event};
use crate::expression::{self, ItemList, Status};
use crate::shard::request::KnownResult;

/// What is to be done about a node.
#[derive(Debug)]
pub enum Next {
    /// Nothing: it was looked at before.
    Nothing,
    /// This was decided.
    Decide(Event),
    /// Something must be found out first; the node is marked as asking.
    Ask(Asking, Option<Digest>),
    /// It may be released; the node is marked as ready.
    Release,
}

impl Run {
    /// Looks at a node whose needs have all ended, and marks it as asking or ready where it is.
    pub fn look_at(&mut self, index: u32, facts: Facts) -> Next {
        let next = self.next_for(index, facts);
        let status = match &next {
            Next::Ask(asking, _) => NodeStatus::Asking(*asking),
            Next::Release => NodeStatus::Ready,
            Next::Nothing | Next::Decide(_) => return next,
        };
        if let Some(slot) = self.nodes.get_mut(index as usize) {
            *slot = status;
        }
        next
    }

    fn next_for(&self, index: u32, facts: Facts) -> Next {
        let Some(node) = self.node(index) else {
            return Next::Nothing;
        };
        if !matches!(self.status(index), NodeStatus::Waiting | NodeStatus::Asking(_))
            || self.state.is_final()
        {
            return Next::Nothing;
        }
        if self.is_cancelled() && !survives(node) {
            return conclude(index, StepState::Cancelled, true, "the run was cancelled", facts);
        }
        let blocked = self.is_blocked(index);
        if let Some(source) = self.unread_items(index) {
            return Next::Ask(Asking::ItemOutputs(source), None);
        }
        let status = Status { failure: blocked, cancelled: self.is_cancelled() };
        let holds = match node.condition {
            None => Ok(node.finally || !blocked),
            Some(_) => expression::condition(&self.plan, index, &self.scope(index, None), status)
                .map_err(|error| error.to_string()),
        };
        match holds {
            Err(error) => {
                return conclude(
                    index,
                    StepState::Failed,
                    true,
                    &format!("its condition: {error}"),
                    facts,
                );
            }
            Ok(false) => {
                return conclude(
                    index,
                    StepState::Skipped,
                    blocked,
                    self.why_skipped(index, blocked),
                    facts,
                );
            }
            Ok(true) => {}
        }
        if node.for_each.is_some() {
            return self.open_items(index, facts);
        }
        match self.key_to_ask(index) {
            Some(key) => Next::Ask(Asking::Result, Some(key)),
            None => Next::Release,
        }
    }

    /// Whether something that the node needs ended so that it must not go on.
    fn is_blocked(&self, index: u32) -> bool {
        let ended_badly =
            |need: u32| matches!(self.status(need), NodeStatus::Ended(end) if end.blocks);
        let Some(node) = self.node(index) else {
            return true;
        };
        if node.finally {
            let ordinary = (0u32..).zip(&self.plan.nodes).filter(|(_, node)| !node.finally);
            return ordinary
                .map(|(other, _)| other)
                .chain(node.needs.iter().copied())
                .any(ended_badly);
        }
        node.needs.iter().copied().any(ended_badly)
    }

    fn why_skipped(&self, index: u32, blocked: bool) -> &'static str {
        match (blocked, self.node(index).is_some_and(|node| node.condition.is_some())) {
            (true, false) => "something that it needs did not succeed",
            (true, true) | (false, _) => "its condition is false",
        }
    }

    /// The first fan-out that the node reads and whose outputs are not in memory.
    pub fn unread_items(&self, index: u32) -> Option<u32> {
        let node = self.node(index)?;
        let fans_out =
            |source: &u32| self.node(*source).is_some_and(|node| node.for_each.is_some());
        let unread = |source: &u32| fans_out(source) && !self.item_outputs.contains_key(source);
        let sources = node.reads.iter().chain(node.inputs.iter().map(|input| &input.node));
        sources.copied().find(|source| unread(source) && self.node(*source).is_some())
    }

    fn open_items(&self, index: u32, facts: Facts) -> Next {
        let planned = self.node(index).and_then(|node| node.for_each.as_ref()).and_then(|each| {
            match &each.items {
                Items::Literal(items) => u32::try_from(items.len()).ok(),
                Items::Range(_) | Items::Expression(_) => None,
            }
        });
        let open = |count, items| {
            Next::Decide(Event::FanoutOpened { node: index, count, items, reused: None })
        };
        if let Some(count) = planned {
            return open(count, None);
        }
        match expression::items(&self.plan, index, &self.scope(index, None)) {
            Ok(Some(ItemList::Range(count))) => open(count, None),
            Ok(Some(list @ ItemList::List(_))) => {
                let count = list.count();
                let ItemList::List(items) = list else {
                    return Next::Nothing;
                };
                open(count, Some(Arc::unwrap_or_clone(items)))
            }
            Ok(None) => Next::Nothing,
            Err(error) => {
                conclude(index, StepState::Failed, true, &format!("its items: {error}"), facts)
            }
        }
    }

    /// The key to look a result up by, unless that was done.
    fn key_to_ask(&self, index: u32) -> Option<Digest> {
        let node = self.node(index)?;
        let asked = matches!(self.status(index), NodeStatus::Asking(Asking::Result));
        if asked || !is_reusable(node) {
            return None;
        }
        self.step_key(StepAddress::node(index)).map(|key| key.digest)
    }

    /// How the run ends, once no node is left; `None` while one is.
    pub fn verdict(&self) -> Option<Event> {
        if self.unfinished > 0 || self.state.is_final() || !self.live.is_empty() {
            return None;
        }
        let state = match (self.is_cancelled(), self.failed) {
            (true, _) => RunState::Cancelled,
            (false, true) => RunState::Failed,
            (false, false) => RunState::Succeeded,
        };
        let outputs = expression::outputs(&self.plan, &self.whole_scope());
        Some(Event::Ended { state, outputs })
    }
}

/// Whether results of the node's steps are stored under their keys and taken from there.
pub fn is_reusable(node: &Node) -> bool {
    node.cached && node.effect == Effect::Pure
}

/// A step that ends because the result of its key is known.
pub fn known_result(step: StepAddress, known: KnownResult, facts: Facts) -> Event {
    Event::StepConcluded(Box::new(ConcludedStep {
        step,
        state: StepState::Cached,
        reason: format!("its result is known from {}", known.run),
        blocks: false,
        ended_at_ms: facts.now_ms,
        outputs: known.outputs,
        artifacts: known.artifacts,
    }))
}

fn conclude(node: u32, state: StepState, blocks: bool, reason: &str, facts: Facts) -> Next {
    Next::Decide(Event::StepConcluded(Box::new(ConcludedStep {
        step: StepAddress::node(node),
        state,
        reason: reason.to_owned(),
        blocks,
        ended_at_ms: facts.now_ms,
        outputs: Default::default(),
        artifacts: Vec::new(),
    })))
}

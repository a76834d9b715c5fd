//! Nodes that are executed again after they ended, because an object that they made is lost.
//!
//! Each such execution is a visit of the node, counted from 1, with attempts of its own. It is no
//! further step of the run: what the node made is replaced where the visit succeeds, and nothing
//! else about the node changes.

use maestro_schemas::plan::Node;
use maestro_schemas::step::{StepAddress, StepState};

use super::{Made, Run};

/// What the visits of a node came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remade {
    /// The last visit that began.
    pub visit: u32,
    /// When the last one that succeeded ended, by the shard's clock.
    pub at_ms: Option<u64>,
    /// When the last one ended that made something else than was there before.
    pub changed_at_ms: Option<u64>,
}

impl Run {
    /// Whether a visit of the node has begun and not ended.
    pub fn is_remaking(&self, node: u32) -> bool {
        self.remade.get(&node).is_some_and(|remade| {
            let step = StepAddress { node, item: 0, visit: remade.visit };
            self.live.contains_key(&step) || self.pauses.contains_key(&step)
        })
    }

    /// The first node whose object the step waits for, where it waits for one.
    pub fn held_for(&self, step: StepAddress) -> Option<u32> {
        let inputs = self.node(step.node)?.inputs.iter();
        inputs.map(|input| input.node).find(|node| self.is_remaking(*node))
    }

    /// Whether something that the node is made from was made otherwise at `since_ms` or later, so
    /// that an attempt decided then may have had what was there before.
    pub fn is_based_on_former(&self, node: &Node, since_ms: u64) -> bool {
        let sources = node.reads.iter().chain(node.inputs.iter().map(|input| &input.node));
        let changed = |source| self.remade.get(source)?.changed_at_ms;
        sources.filter_map(changed).any(|at_ms| at_ms >= since_ms)
    }

    /// Takes note of a visit; a step that is none changes nothing.
    pub(super) fn begin_visit(&mut self, step: StepAddress) {
        if step.visit > 0 {
            let remade = self.remade.entry(step.node).or_default();
            remade.visit = remade.visit.max(step.visit);
        }
    }

    pub(super) fn end_visit(
        &mut self,
        step: StepAddress,
        state: StepState,
        made: Made,
        ended_at_ms: u64,
    ) {
        self.begin_visit(step);
        if !state.is_success() {
            return;
        }
        let is_other = self.made.get(&step.node) != Some(&made);
        self.made.insert(step.node, made);
        if let Some(remade) = self.remade.get_mut(&step.node) {
            remade.at_ms = Some(ended_at_ms);
            remade.changed_at_ms = if is_other { Some(ended_at_ms) } else { remade.changed_at_ms };
        }
    }
}

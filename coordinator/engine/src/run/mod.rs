//! A run in its owner's memory.
//!
//! Only [`Run::apply`] changes what the rows say of it, and only [`Run::load`] reads it back; the
//! simulation holds the one to the other after every commit. What a run merely heard (heartbeats,
//! what the bus said) stands in [`Live::sight`] and is no part of that.

pub mod advance;
mod apply;
pub mod bits;
pub mod former;
pub mod graph;
pub mod keyed;
mod load;
pub mod prepare;
pub mod remade;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::command::Rerun;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::Node;
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use serde_json::Value;

use crate::event::Pause;
use crate::plan::CheckedPlan;
use crate::shard::commit::{RunCounts, RunRow};
use bits::Bits;
use graph::Graph;
use remade::Remade;

/// A run in its owner's memory.
#[derive(Debug)]
pub struct Run {
    /// The run.
    pub id: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// The shard that owns it.
    pub shard: u16,
    /// What it executes.
    pub plan: CheckedPlan,
    /// The plan's digest.
    pub plan_digest: Digest,
    /// The plan's edges, shared by the runs of a plan.
    pub graph: Arc<Graph>,
    /// What it takes over from a run before it.
    pub rerun: Option<Rerun>,
    /// Where it stands.
    pub state: RunState,
    /// Why it is cancelled, where it is.
    pub cancel_reason: Option<String>,
    /// Whether that was asked a second time: then nothing of it goes on to clean up.
    pub cancelled_again: bool,
    /// The first thing that went wrong.
    pub cause: Option<String>,
    /// Counts and sums.
    pub counts: RunCounts,
    /// Where each node of the plan stands.
    pub nodes: Vec<NodeStatus>,
    /// For each node, how many of its needs have not ended.
    pub unmet: Vec<u32>,
    /// Attempts that were decided and have not ended.
    pub live: BTreeMap<StepAddress, Live>,
    /// Steps that wait before their next attempt.
    pub pauses: BTreeMap<StepAddress, Pause>,
    /// What ended nodes made, kept where somebody reads it.
    pub made: BTreeMap<u32, Made>,
    /// Nodes that were executed again after they ended.
    pub remade: BTreeMap<u32, Remade>,
    /// Outputs of fan-outs that were asked for, one for each item.
    pub item_outputs: BTreeMap<u32, Arc<Vec<Outputs>>>,
    /// How many nodes outside `finally` have not ended.
    pub ordinary_unfinished: u32,
    /// How many nodes have not ended.
    pub unfinished: u32,
    /// Whether a node failed that may not.
    pub failed: bool,
    /// Nodes whose needs have all ended and that were not looked at since.
    pub opened: VecDeque<u32>,
}

/// Where a node stands.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeStatus {
    /// Something that it needs has not ended.
    Waiting,
    /// A question about it is open.
    Asking(Asking),
    /// It waits for a place in its pool's window.
    Ready,
    /// Its step is live or pauses before the next attempt.
    Active,
    /// Its items are known.
    Fanout(Box<Fanout>),
    /// Nothing more will happen to it.
    Ended(Conclusion),
}

/// What is asked about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// Whether the result of its key is known.
    Result,
    /// The outputs of a fan-out that it reads: that node's index.
    ItemOutputs(u32),
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conclusion {
    /// Its final state.
    pub state: StepState,
    /// Whether what needs it must not go on.
    pub blocks: bool,
}

/// An open fan-out: one value however many items.
#[derive(Debug, Clone, PartialEq)]
pub struct Fanout {
    /// How many items.
    pub count: u32,
    /// The first item that was neither released nor has ended.
    pub cursor: u32,
    /// Items that an expression yielded.
    pub items: Option<Arc<Vec<Value>>>,
    /// Items that have ended.
    pub ended: Bits,
    /// Items that a former run of the line holds.
    pub reused: Option<Bits>,
    /// How many items failed.
    pub failed: u32,
    /// How many items were cancelled or skipped.
    pub dropped: u32,
    /// How many items will never be released, once no further one is to be.
    pub unreleased: Option<u32>,
}

/// What an ended node made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Made {
    /// Named values.
    pub outputs: Outputs,
    /// Bytes.
    pub artifacts: Vec<Artifact>,
}

/// A live attempt.
#[derive(Debug, Clone)]
pub struct Live {
    /// The attempt.
    pub token: AttemptToken,
    /// How many attempts of the step lapsed before it.
    pub lapses: u16,
    /// When it was decided, by the shard's clock.
    pub decided_at_ms: u64,
    /// What was seen of it; not in the rows.
    pub sight: Sight,
}

/// What was seen of a live attempt since this owner has it. Nothing here is committed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sight {
    /// When a heartbeat last named it.
    pub heard_at_ms: Option<u64>,
    /// For how long it had run by then.
    pub elapsed_ms: u64,
    /// When it was last put on the bus, or handed over by the former owner.
    pub ensured_at_ms: u64,
    /// Since when the bus says that it has it, while nobody has it in hand.
    pub refused_since_ms: Option<u64>,
    /// When its run was cancelled.
    pub cancelled_at_ms: Option<u64>,
}

impl Run {
    /// A run that begins: nothing of it has happened.
    pub fn begin(row: RunRow, plan: CheckedPlan, graph: Arc<Graph>) -> Self {
        let count = plan.nodes.len();
        let unmet = plan
            .nodes
            .iter()
            .map(|node| u32::try_from(node.needs.len()).unwrap_or(u32::MAX))
            .collect();
        let mut run = Self {
            id: row.id,
            project: row.project,
            shard: row.shard,
            plan_digest: row.plan,
            rerun: row.rerun,
            state: RunState::Running,
            cancel_reason: None,
            cancelled_again: false,
            cause: None,
            counts: RunCounts { steps_total: row.steps_total, ..RunCounts::default() },
            nodes: vec![NodeStatus::Waiting; count],
            unmet,
            live: BTreeMap::new(),
            pauses: BTreeMap::new(),
            made: BTreeMap::new(),
            remade: BTreeMap::new(),
            item_outputs: BTreeMap::new(),
            ordinary_unfinished: graph.ordinary,
            unfinished: u32::try_from(count).unwrap_or(u32::MAX),
            failed: false,
            opened: VecDeque::new(),
            plan,
            graph,
        };
        run.open_roots();
        run
    }

    /// The node at an index of the plan.
    pub fn node(&self, index: u32) -> Option<&Node> {
        self.plan.nodes.get(index as usize)
    }

    /// Where a node stands; a node that the plan does not have has ended.
    pub fn status(&self, index: u32) -> &NodeStatus {
        const BEYOND: NodeStatus =
            NodeStatus::Ended(Conclusion { state: StepState::Skipped, blocks: true });
        self.nodes.get(index as usize).unwrap_or(&BEYOND)
    }

    /// The step's id for people: `stage/name`, with `[item]` in a fan-out.
    pub fn step_name(&self, step: StepAddress) -> String {
        match self.node(step.node) {
            Some(node) if node.for_each.is_some() => format!("{}[{}]", node.id, step.item),
            Some(node) => node.id.clone(),
            None => step.to_string(),
        }
    }

    /// Whether a cancellation stands.
    pub const fn is_cancelled(&self) -> bool {
        self.cancel_reason.is_some()
    }

    /// How many steps a plan has as far as its text tells; a fan-out over an expression counts once.
    pub fn steps_known(plan: &maestro_schemas::plan::Plan) -> u64 {
        use maestro_schemas::plan::Items;
        plan.nodes
            .iter()
            .map(|node| match node.for_each.as_ref().map(|each| &each.items) {
                Some(Items::Literal(items)) => items.len() as u64,
                Some(Items::Range(count)) => u64::from(*count),
                Some(Items::Expression(_)) | None => 1,
            })
            .sum()
    }

    fn open_roots(&mut self) {
        let roots: Vec<u32> = (0u32..)
            .zip(&self.unmet)
            .filter(|(index, unmet)| {
                **unmet == 0 && self.node(*index).is_some_and(|node| !node.finally)
            })
            .map(|(index, _)| index)
            .collect();
        self.opened.extend(roots);
        if self.graph.ordinary == 0 {
            self.open_finally();
        }
    }

    fn open_finally(&mut self) {
        let graph = Arc::clone(&self.graph);
        let ready =
            graph.finally.iter().filter(|index| self.unmet.get(**index as usize) == Some(&0));
        self.opened.extend(ready.copied());
    }
}

impl Fanout {
    /// Whether every item has ended.
    pub fn is_complete(&self) -> bool {
        self.ended.len() + self.unreleased.unwrap_or(0) >= self.count
    }

    /// The next item to be released.
    pub fn next_item(&self) -> Option<u32> {
        match self.unreleased {
            Some(_) => None,
            None => (self.cursor < self.count).then_some(self.cursor),
        }
    }

    /// Items to be released from here on, in order.
    pub fn unreleased_items(&self) -> impl Iterator<Item = u32> {
        (self.cursor..self.count).filter(|item| !self.ended.contains(*item))
    }

    /// Moves the cursor past items that have ended.
    pub fn pass_ended(&mut self) {
        while self.cursor < self.count && self.ended.contains(self.cursor) {
            self.cursor += 1;
        }
    }

    /// Releases no further item.
    pub fn close(&mut self) {
        if self.unreleased.is_none() {
            self.unreleased = u32::try_from(self.unreleased_items().count()).ok();
        }
    }
}

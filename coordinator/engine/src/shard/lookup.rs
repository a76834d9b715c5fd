//! Which items of a fan-out need no execution, because the results of their keys are known: asked
//! for a page ahead of the cursor, before any item of the page is released.

use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;

use super::Fold;
use super::batch::Batch;
use super::inputs::About;
use super::request::{Answer, Ask};
use crate::run::NodeStatus;
use crate::run::advance::{is_reusable, known_result};

/// How many items are asked for at once.
const PAGE: usize = 128;

/// How far the results of a fan-out's items are known.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Every item below this was looked up.
    known_below: u32,
    /// The end of the page that is being looked up.
    page_end: Option<u32>,
}

impl Fold {
    /// Whether an item may be executed: no known result spares it.
    pub(super) fn is_looked_up(&self, (run, node): (RunId, u32), item: u32) -> bool {
        let reusable = self.runs.get(&run).and_then(|run| run.node(node)).is_some_and(is_reusable);
        !reusable || self.lookups.get(&(run, node)).is_some_and(|lookup| item < lookup.known_below)
    }

    /// Whether a fan-out waits to hear which of its next items have a result, or what it reads.
    pub fn is_looking_up(&self, run: RunId, node: u32) -> bool {
        self.lookups.get(&(run, node)).is_some_and(|lookup| lookup.page_end.is_some())
            || self.runs.get(&run).is_some_and(|run| run.unread_items(node).is_some())
    }

    /// Asks for the results of the next items, unless that was done.
    pub(super) fn look_up(&mut self, (id, node): (RunId, u32)) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let NodeStatus::Fanout(fanout) = run.status(node) else {
            return;
        };
        let items: Vec<u32> = fanout.unreleased_items().take(PAGE).collect();
        let key = |item: &u32| Some((*item, run.step_key(StepAddress::item(node, *item))?.digest));
        let keys = items.iter().filter_map(key).collect();
        let project = run.project.clone();
        let lookup = self.lookups.entry((id, node)).or_default();
        if let (None, Some(last)) = (lookup.page_end, items.last()) {
            lookup.page_end = Some(last + 1);
            self.ask(Ask::ItemResults { project, keys }, About::Items(id, node));
        }
    }

    /// Ends the items whose results are known, and goes on with the others.
    pub(super) fn answer_items(
        &mut self,
        batch: &mut Batch,
        (id, node): (RunId, u32),
        answer: Answer,
    ) {
        let Some(facts) = self.facts(id) else { return };
        if let Some(lookup) = self.lookups.get_mut(&(id, node)) {
            lookup.known_below = lookup.page_end.take().unwrap_or(lookup.known_below);
        }
        let Answer::ItemResults(known) = answer else {
            return;
        };
        let fanout = self.runs.get(&id).map(|run| run.status(node));
        let waits = |item: u32| match fanout {
            Some(NodeStatus::Fanout(fanout)) => {
                fanout.unreleased.is_none() && item >= fanout.cursor
            }
            _ => false,
        };
        let events = known
            .into_iter()
            .filter(|(item, _)| waits(*item))
            .map(|(item, known)| known_result(StepAddress::item(node, item), known, facts))
            .collect();
        self.decided(batch, id, events);
        self.queue_fanout(Some(batch), id, node);
    }
}

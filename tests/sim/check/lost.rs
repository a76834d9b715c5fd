//! A lost object of a `pure` or `idempotent` step ends in its re-execution.

use maestro_engine::decide::lost::VISITS_MAX;
use maestro_engine::shard::commit::{AttemptRow, Commit};
use maestro_schemas::action::Effect;
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::step::{StepAddress, StepState};

use super::{Checked, Checker};
use crate::store::{RunRecord, Store};

impl Checker {
    /// A step fails for a lost input only where nobody may make it again.
    pub(super) fn lost_is_made_again(&self, commit: &Commit, store: &Store) -> Checked {
        let is_lost = |row: &&AttemptRow| {
            let class = row.failure.as_ref().map(|failure| failure.class);
            row.state == StepState::Failed && class == Some(FailureClass::InputLost)
        };
        commit.attempts.iter().filter(is_lost).try_for_each(|row| {
            let record = &store.runs[&row.run];
            let lost = row.failure.as_ref().and_then(|failure| failure.lost);
            let inputs = &record.plan.nodes[row.step.node as usize].inputs;
            let made_it = |node: u32| {
                let digest = made(record, node).map(|artifact| artifact.digest);
                digest.is_some() && digest == lost
            };
            let may = |node: u32| {
                let planned = &record.plan.nodes[node as usize];
                planned.effect != Effect::Once && visits(record, node) < VISITS_MAX
            };
            let maker =
                inputs.iter().map(|input| input.node).find(|node| made_it(*node) && may(*node));
            self.require(16, maker.is_none(), || {
                format!("{} of {} fails for what node {maker:?} can make again", row.step, row.run)
            })
        })
    }
}

fn visits(record: &RunRecord, node: u32) -> u32 {
    let attempts = record.attempts.keys().map(|(step, _)| *step);
    let steps = record.steps.keys().chain(record.timers.keys()).chain(record.dispatch.keys());
    let of_node = steps.copied().chain(attempts).filter(|step| step.node == node);
    of_node.map(|step| step.visit).max().unwrap_or(0)
}

/// What a node made last, by the rows; each makes at most one artifact.
fn made(record: &RunRecord, node: u32) -> Option<&maestro_schemas::artifact::Artifact> {
    let first = StepAddress::node(node);
    let last = StepAddress { visit: u32::MAX, ..first };
    let rows = record.attempts.range((first, 0)..=(last, u32::MAX)).rev();
    let succeeded = rows.map(|(_, row)| row).find(|row| row.state == StepState::Succeeded);
    let artifacts = match succeeded {
        Some(row) => &row.artifacts,
        None => &record.steps.get(&first)?.artifacts,
    };
    artifacts.first()
}

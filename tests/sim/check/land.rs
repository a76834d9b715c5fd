//! What a commit may change, and when.

use maestro_engine::shard::commit::{Commit, DispatchRow};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::Node;
use maestro_schemas::step::{RunState, StepAddress, StepState};

use super::{Checked, Checker};
use crate::store::{Landed, RunRecord, Store};

/// The most attempts that a batch may end: its messages, each with some reports.
const ENDED_MAX: usize = 4_096;

impl Checker {
    /// A commit is sent: its rows are bounded by the window of all workers.
    pub fn sent(&self, commit: &Commit, slots: u64) -> Checked {
        // A window is at most twice its slots, and each of a few owners may believe it its own.
        let most = usize::try_from(slots * 8 + 8).unwrap_or(usize::MAX);
        let dispatched = commit.dispatched.len();
        self.require(13, dispatched <= most, || {
            format!("{dispatched} attempts for {slots} slots")
        })?;
        let ended = commit.attempts.len();
        self.require(13, ended <= ENDED_MAX, || format!("{ended} attempts end in one commit"))
    }

    /// The clocks of a commit's shards before it lands.
    pub fn before(&self, commit: &Commit, store: &Store) -> Vec<u64> {
        let clock = |shard: u16| store.shards[usize::from(shard)].clock_ms;
        commit.shards.iter().map(|advance| clock(advance.shard)).collect()
    }

    /// A commit has landed, or not.
    pub fn landed(
        &mut self,
        commit: &Commit,
        landed: &Landed,
        (clocks, store): (Vec<u64>, &Store),
    ) -> Checked {
        if let Landed::Unfit(what) = landed {
            return self.require(2, false, || what.clone());
        }
        if *landed != Landed::New {
            return Ok(());
        }
        for (advance, clock) in commit.shards.iter().zip(clocks) {
            let highest = self.epochs.get(&advance.shard).copied().unwrap_or(0);
            self.require(2, advance.epoch >= highest, || {
                format!("{advance:?} landed after epoch {highest} was read")
            })?;
            let is_new = self.landed.insert((advance.shard, advance.batch));
            self.require(2, is_new, || format!("{advance:?} landed twice"))?;
            self.require(10, advance.clock_ms >= clock, || format!("{advance:?} goes back"))?;
        }
        self.note_cancels(commit);
        for row in &commit.dispatched {
            self.decided.insert((row.run, row.step, row.token));
            self.dispatched(row, commit, store)?;
        }
        for row in &commit.attempts {
            let record = &store.runs[&row.run];
            let of_step = record.attempts.range((row.step, 0)..=(row.step, u32::MAX));
            let succeeded = of_step.filter(|(_, row)| row.state == StepState::Succeeded).count();
            self.require(4, succeeded <= 1, || format!("{} {} succeeds again", row.run, row.step))?;
        }
        self.lost_is_made_again(commit, store)?;
        commit.runs_changed.iter().try_for_each(|change| {
            let record = &store.runs[&change.id];
            let is_over = record.dispatch.is_empty() && record.timers.is_empty();
            self.require(4, !change.state.is_final() || is_over, || {
                format!("{} has ended {:?} and is live", change.id, change.state)
            })?;
            let is_local =
                change.state != RunState::Quarantined || self.poisoned.contains(&change.id);
            self.require(11, is_local, || format!("{} is set aside without cause", change.id))
        })
    }

    fn note_cancels(&mut self, commit: &Commit) {
        let accepted = |action: &str, answer: &maestro_schemas::command::CommandAnswer| {
            action == "cancel" && *answer == maestro_schemas::command::CommandAnswer::Accepted
        };
        for row in commit.audits.iter().filter(|row| accepted(&row.action, &row.answer)) {
            if self.cancel_commands.insert(row.command) {
                *self.cancels.entry(row.run).or_default() += 1;
            }
        }
    }

    fn dispatched(&self, row: &DispatchRow, commit: &Commit, store: &Store) -> Checked {
        let record = &store.runs[&row.run];
        let own = commit.shards.iter().any(|advance| advance.shard == record.row.shard);
        self.require(2, own && row.shard == record.row.shard, || {
            format!("{row:?} is not its own")
        })?;
        let node = &record.plan.nodes[row.step.node as usize];
        let cancels = self.cancels.get(&row.run).copied().unwrap_or(0);
        let may = cancels == 0 || (cancels == 1 && cleans_up(node));
        self.require(12, may, || format!("{row:?} was decided after {cancels} cancellations"))?;
        let succeeded = record.step_state(row.step).is_some_and(StepState::is_final);
        self.require(4, !succeeded, || format!("{row:?} has ended before"))?;
        self.inputs_exist(row.run, node, record)
    }

    fn inputs_exist(&self, run: RunId, node: &Node, record: &RunRecord) -> Checked {
        let ordinary = |index: &u32| node.finally && !record.plan.nodes[*index as usize].finally;
        let all = (0..record.plan.nodes.len() as u32).filter(ordinary);
        for need in node.needs.iter().copied().chain(all) {
            self.require(4, record.node_ended(need), || {
                format!("{} of {run} is dispatched before node {need} has ended", node.id)
            })?;
        }
        for input in &node.inputs {
            let step = StepAddress::node(input.node);
            let last = record.attempts.range((step, 0)..=(step, u32::MAX)).next_back();
            let of_attempt = last.map(|(_, row)| &row.artifacts);
            let of_step = record.steps.get(&step).map(|row| &row.artifacts);
            let is_there = [of_attempt, of_step]
                .into_iter()
                .flatten()
                .any(|made| made.iter().any(|artifact| artifact.role == input.role));
            self.require(4, is_there, || {
                format!("{} of {run} is dispatched without {}", node.id, input.role)
            })?;
        }
        Ok(())
    }
}

/// Whether a step asks to run although its run was cancelled.
fn cleans_up(node: &Node) -> bool {
    node.condition.as_ref().map_or(node.finally, |condition| {
        condition.contains("always()") || condition.contains("cancelled()")
    })
}

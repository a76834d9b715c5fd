//! Nobody waits for nothing.

use std::collections::BTreeMap;

use maestro_engine::event::Pause;
use maestro_engine::run::{Asking, NodeStatus, Run};
use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::Ask;
use maestro_schemas::name::PoolName;

use super::{Checked, Checker};
use crate::bus::Bus;
use crate::store::Store;
use crate::world::coordinator::Coordinator;

/// How many completions are between two looks: they are dear.
const LOOK_EVERY: u64 = 16;

impl Checker {
    /// Every node that asks has an open question, every node that is ready stands in a line, and
    /// each has exactly one reason.
    pub fn nobody_waits_for_nothing(&mut self, owner: &Coordinator, now: u64) -> Checked {
        self.looks += 1;
        // What waits to be folded wakes somebody too.
        if !self.looks.is_multiple_of(LOOK_EVERY) || owner.fold.backlog() > 0 {
            return Ok(());
        }
        let mut results = 0;
        let mut ready: BTreeMap<PoolName, u32> = BTreeMap::new();
        for run in owner.fold.runs() {
            for (index, node) in (0u32..).zip(&run.plan.nodes) {
                match run.status(index) {
                    NodeStatus::Asking(Asking::Result) => results += 1,
                    NodeStatus::Asking(Asking::ItemOutputs(source)) => {
                        let ask = Ask::ItemOutputs { run: run.id, node: *source };
                        // One about rows of a commit on its way is asked once that stands.
                        let is_asked = owner.fold.is_committing()
                            || owner.asks.values().any(|open| *open == ask);
                        self.require(5, is_asked, || {
                            format!("{} of {} asks nobody", node.id, run.id)
                        })?;
                    }
                    NodeStatus::Ready => *ready.entry(node.pool.clone()).or_default() += 1,
                    NodeStatus::Fanout(_) if owner.fold.is_looking_up(run.id, index) => {
                        results += 1
                    }
                    NodeStatus::Fanout(_) if may_release(run, index) => {
                        *ready.entry(node.pool.clone()).or_default() += 1;
                    }
                    _ => {}
                }
            }
        }
        let is_about_nodes = |ask: &&Ask| !matches!(ask, Ask::Plan { .. } | Ask::Named { .. });
        let open = owner.asks.values().filter(is_about_nodes).count();
        self.require(5, open >= results || owner.fold.is_committing(), || {
            format!("{results} nodes ask, {open} questions")
        })?;
        let demand = owner.fold.demand();
        for (pool, count) in ready {
            let said = demand.pools.get(&pool).map_or(0, |part| part.ready);
            self.require(5, said >= count, || {
                format!("{count} nodes are ready for {pool}, {said} stand in line")
            })?;
        }
        owner.fold.runs().try_for_each(|run| self.one_reason_each(owner, run, now))
    }

    fn one_reason_each(&self, owner: &Coordinator, run: &Run, now: u64) -> Checked {
        let report = owner.fold.why(run.id, now);
        let waiting = report.map(|report| report.waiting).unwrap_or_default();
        for (index, node) in (0u32..).zip(&run.plan.nodes) {
            let waits = matches!(
                run.status(index),
                NodeStatus::Waiting | NodeStatus::Asking(_) | NodeStatus::Ready
            );
            let count = waiting.iter().filter(|reason| reason.step == node.id).count();
            self.require(5, !waits || count == 1, || {
                format!("{} of {} has {count} reasons", node.id, run.id)
            })?;
        }
        for (step, pause) in run.pauses.iter().filter(|(step, _)| !run.live.contains_key(step)) {
            let name = run.step_name(*step);
            let count = waiting.iter().filter(|reason| reason.step == name).count();
            self.require(5, count == 1, || {
                format!("{name} of {}, in a pause, has {count} reasons", run.id)
            })?;
            let is_sound = !pause.is_held() || run.held_for(*step).is_some();
            self.require(5, is_sound, || {
                format!("{name} of {} is held and nothing that it takes is made", run.id)
            })?;
        }
        Ok(())
    }

    /// No timer overtakes the inbox: what was stored before it was due was read before it fires.
    pub fn timers_waited(
        &self,
        owner: &Coordinator,
        commit: &Commit,
        (store, bus): (&Store, &Bus),
    ) -> Checked {
        for (run, step) in &commit.timers_cleared {
            let fired = commit.dispatched.iter().any(|row| (row.run, row.step) == (*run, *step));
            let Some(record) = store.runs.get(run).filter(|_| fired) else { continue };
            let Some(timer) = record.timers.get(step) else { continue };
            if timer.due_at_ms == Pause::HELD {
                continue;
            }
            let Some(holding) = owner.held.get(&record.row.shard) else { continue };
            let due = timer.due_at_ms.saturating_sub(owner.ahead_ms);
            let was_read = bus.was_read_to(record.row.shard, holding.consumer, due);
            self.require(10, was_read, || format!("the pause of {run} {step} overtook a report"))?;
        }
        Ok(())
    }
}

fn may_release(run: &Run, node: u32) -> bool {
    let NodeStatus::Fanout(fanout) = run.status(node) else { return false };
    let most = run.plan.nodes[node as usize].for_each.as_ref().and_then(|each| each.parallel_max);
    let live = run.live.keys().filter(|step| step.node == node).count() as u32;
    fanout.next_item().is_some() && most.is_none_or(|most| live < most.get())
}

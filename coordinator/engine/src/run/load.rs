//! A run from its rows: what a new owner begins with.

use std::sync::Arc;

use maestro_schemas::step::{StepAddress, StepState};

use super::bits::Bits;
use super::graph::Graph;
use super::{Live, Made, NodeStatus, Run, Sight};
use crate::event::Pause;
use crate::shard::commit::RunChange;
use crate::shard::request::LoadedRun;

impl Run {
    /// Reads a run back. `now_ms` is when its live attempts are taken as seen: time in which no
    /// owner was there does not count against them.
    pub fn load(loaded: LoadedRun, graph: Arc<Graph>, now_ms: u64) -> Self {
        let mut run = Self::begin(loaded.row, loaded.plan, graph);
        let outputs = loaded.item_outputs.into_iter();
        run.item_outputs = outputs.map(|(node, items)| (node, Arc::new(items))).collect();
        let mut closed = Vec::new();
        for fanout in loaded.fanouts {
            let reused = fanout.reused.as_ref().map(|bytes| Bits::from_bytes(bytes, fanout.count));
            run.open_fanout(fanout.node, fanout.count, fanout.items.map(Arc::new), reused);
            if let Some(NodeStatus::Fanout(open)) = run.nodes.get_mut(fanout.node as usize) {
                open.cursor = fanout.cursor;
                open.pass_ended();
                closed.extend(fanout.closed.then_some(fanout.node));
            }
        }
        for row in loaded.steps {
            let made = Made { outputs: row.outputs, artifacts: row.artifacts };
            match row.step.visit {
                0 => run.settle(row.step, row.state, row.blocks, made),
                _ => run.end_visit(row.step, row.state, made, row.ended_at_ms),
            }
        }
        for row in loaded.attempts.into_iter().filter(|row| row.state.is_final()) {
            let made = Made { outputs: row.outputs, artifacts: row.artifacts };
            match row.step.visit {
                0 => run.settle_again(row.step, row.state, made),
                _ => run.end_visit(row.step, row.state, made, row.ended_at_ms),
            }
        }
        for (node, item, state) in loaded.items {
            run.settle_again(StepAddress::item(node, item), state, Made::default());
        }
        for row in loaded.dispatched {
            let sight = Sight { ensured_at_ms: now_ms, ..Sight::default() };
            run.live.insert(
                row.step,
                Live {
                    token: row.token,
                    lapses: row.lapses,
                    decided_at_ms: row.decided_at_ms,
                    sight,
                },
            );
            run.release(row.step);
        }
        for row in loaded.timers {
            run.pauses.insert(
                row.step,
                Pause { attempt: row.attempt, lapses: row.lapses, due_at_ms: row.due_at_ms },
            );
            run.release(row.step);
        }
        for node in closed {
            run.close_fanout(node);
        }
        run.counts.cost_microusd = loaded.spent.cost_microusd;
        run.counts.work_ms = loaded.spent.wall_ms;
        run.take_change(loaded.change, now_ms);
        run
    }

    fn settle_again(&mut self, step: StepAddress, state: StepState, made: Made) {
        self.settle(step, state, state != StepState::Succeeded, made);
    }

    fn take_change(&mut self, change: Option<RunChange>, now_ms: u64) {
        let Some(change) = change else { return };
        self.state = change.state;
        self.cause = change.cause;
        self.cancel_reason = change.cancel_reason;
        self.cancelled_again = change.cancelled_again;
        if self.is_cancelled() {
            self.mark_cancelled(now_ms);
        }
    }
}

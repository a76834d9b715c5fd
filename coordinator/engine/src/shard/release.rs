//! What is released into the pools' windows.

use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::step::{AttemptToken, StepAddress, StepState};

use super::batch::Batch;
use super::{Fold, record};
use crate::event::{ConcludedStep, Event};
use crate::run::{NodeStatus, Run};
use crate::schedule::{Entry, Place};

/// The attempt that an entry gives.
struct Next {
    step: StepAddress,
    /// The attempt's number.
    number: u32,
    /// How many attempts of the step lapsed.
    lapses: u16,
}

/// The most attempts that one batch decides: what bounds a commit's rows whatever the fan-out.
const RELEASED_MAX: usize = 1_024;

impl Fold {
    /// Puts steps whose pause is over in line again. No timer overtakes the inbox: one fires when
    /// the inbox of its shard has been read past the time when it was due.
    pub(super) fn fire_timers(&mut self) {
        let runs = &self.runs;
        let shards = &self.shards;
        let is_due = |due: u64, run: RunId| {
            let shard = runs.get(&run).and_then(|run| shards.get(&run.shard));
            shard.is_none_or(|shard| due <= shard.clock_ms && due <= shard.read_past_ms)
        };
        let latest = shards.values().map(|shard| shard.clock_ms).max().unwrap_or(0);
        let due: Vec<_> = self
            .timers
            .iter()
            .take_while(|(due, _, _)| *due <= latest)
            .filter(|(due, run, _)| is_due(*due, *run))
            .copied()
            .collect();
        for timer in due {
            self.timers.remove(&timer);
            let (_, run, step) = timer;
            self.enqueue(run, step.node, Entry::Again { run, step });
        }
    }

    /// Decides attempts while there is ready work and room.
    pub(super) fn release(&mut self, batch: &mut Batch, now_ms: u64) {
        let most = if self.batch_max == 1 { 1 } else { RELEASED_MAX };
        for _ in 0..most {
            let Some((pool, place, entry)) = self.schedule.pop(now_ms) else {
                return;
            };
            let run = entry.run();
            if let Some(next) = self.next_of(&pool, place, entry) {
                self.decide_attempt(batch, run, next, now_ms);
            }
        }
    }

    /// The step that an entry gives now, with the number of its attempt and its lapses; none where
    /// the entry does not stand any more.
    fn next_of(&mut self, pool: &PoolName, place: Place, entry: Entry) -> Option<Next> {
        let first = |step| Next { step, number: 1, lapses: 0 };
        let run = self.runs.get(&entry.run())?;
        if run.state.is_final() {
            return None;
        }
        match &entry {
            Entry::Node { node, .. } => matches!(run.status(*node), NodeStatus::Ready)
                .then(|| first(StepAddress::node(*node))),
            Entry::Again { step, .. } => {
                let pause = run.pauses.get(step)?;
                Some(Next { step: *step, number: pause.attempt, lapses: pause.lapses })
            }
            Entry::Items { node, .. } => {
                let NodeStatus::Fanout(fanout) = run.status(*node) else {
                    return None;
                };
                let item = fanout.next_item()?;
                let each = run.node(*node)?.for_each.as_ref()?;
                let node = *node;
                let full =
                    each.parallel_max.is_some_and(|most| live_items(run, node) >= most.get());
                if full {
                    self.held.entry((entry.run(), node)).or_insert((pool.clone(), place));
                    return None;
                }
                if !self.is_looked_up((entry.run(), node), item) {
                    self.look_up((entry.run(), node));
                    return None;
                }
                self.schedule.push_front(pool, place, entry);
                Some(first(StepAddress::item(node, item)))
            }
        }
    }

    /// Puts a fan-out that had as many items live as it may back in line.
    pub(super) fn unhold(&mut self, run: RunId, node: u32) {
        if let Some((pool, place)) = self.held.remove(&(run, node)) {
            self.schedule.push(&pool, place, Entry::Items { run, node });
        }
    }

    fn decide_attempt(&mut self, batch: &mut Batch, id: RunId, next: Next, now_ms: u64) {
        let Next { step, number, lapses } = next;
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let Some(shard) = self.shards.get(&run.shard) else {
            return;
        };
        let token = AttemptToken { number, epoch: shard.epoch };
        let overlap = shard.outlives_commit(now_ms);
        match run.prepare(step, token) {
            Ok(task) => {
                record::publish(batch, run, task, overlap);
                self.apply(batch, id, &Event::AttemptDecided { step, token, lapses });
            }
            Err(reason) => {
                let concluded = ConcludedStep {
                    step,
                    state: StepState::Failed,
                    reason,
                    blocks: true,
                    ended_at_ms: shard.clock_ms,
                    outputs: Default::default(),
                    artifacts: Vec::new(),
                };
                self.decided(batch, id, vec![Event::StepConcluded(Box::new(concluded))]);
            }
        }
    }
}

/// How many items of a fan-out are live.
fn live_items(run: &Run, node: u32) -> u32 {
    let items = StepAddress { node, item: 0, visit: 0 }..=StepAddress {
        node,
        item: u32::MAX,
        visit: u32::MAX,
    };
    u32::try_from(run.live.range(items).count()).unwrap_or(u32::MAX)
}

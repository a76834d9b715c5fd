//! How a commit landed, and how shards come and go.

use std::sync::Arc;

use super::batch::{Batch, InFlight};
use super::commit::ShardAdvance;
use super::inputs::About;
use super::owned::Shard;
use super::request::{Landing, LoadedShard, Request};
use super::{BATCH_MAX, Fold, record};
use crate::event::Event;
use crate::run::Run;

/// How long a commit of unknown outcome waits before it is sent again, in milliseconds.
const AGAIN_MS: u64 = 100;

/// For how long batches stay small after one that was no data, in milliseconds: longer than the
/// shard takes to come back, else what other shards commit meanwhile would hide the culprit again.
const CAUTION_MS: u64 = 2_000;

impl Fold {
    /// Asks for the commit of a batch; what may overlap it goes out with it.
    pub(super) fn send(
        &mut self,
        mut batch: Batch,
        (inputs, is_alone): (usize, bool),
        now_ms: u64,
    ) {
        for number in &batch.touched {
            let Some(shard) = self.shards.get_mut(number) else {
                continue;
            };
            shard.batch += 1;
            batch.commit.shards.push(ShardAdvance {
                shard: *number,
                epoch: shard.epoch,
                batch: shard.batch,
                clock_ms: shard.clock_ms,
            });
        }
        self.summarise(&mut batch);
        batch.commit.fanouts = std::mem::take(&mut batch.fanouts).into_values().collect();
        if !batch.early.is_empty() {
            self.requests.push(Request::Publish(std::mem::take(&mut batch.early)));
        }
        let commit = Arc::new(std::mem::take(&mut batch.commit));
        self.requests.insert(0, Request::Commit(Arc::clone(&commit)));
        self.in_flight = Some(InFlight {
            commit,
            batch,
            sent_at_ms: now_ms,
            again_at_ms: None,
            inputs,
            is_alone,
        });
    }

    /// Writes the summaries of runs that changed, and forgets those that ended.
    fn summarise(&mut self, batch: &mut Batch) {
        for id in std::mem::take(&mut batch.changed) {
            let Some(run) = self.runs.get(&id) else {
                continue;
            };
            let Some(shard) = self.shards.get(&run.shard) else {
                continue;
            };
            let at = record::At { batch: shard.batch, now_ms: shard.clock_ms };
            let outputs = batch.outputs.remove(&id).unwrap_or_default();
            record::finish(batch, run, outputs, at);
            if run.state.is_final() {
                self.runs.remove(&id);
                self.lookups.retain(|(run, _), _| *run != id);
            }
        }
    }

    pub(super) fn landed(&mut self, now_ms: u64, landing: Landing) {
        let Some(mut in_flight) = self.in_flight.take() else {
            return;
        };
        match landing {
            Landing::Done => {
                for advance in &in_flight.commit.shards {
                    if let Some(shard) = self.shards.get_mut(&advance.shard) {
                        shard.renewed_at_ms = in_flight.sent_at_ms;
                    }
                }
                if now_ms >= self.cautious_until_ms {
                    self.batch_max = (self.batch_max * 2).min(BATCH_MAX);
                }
                self.requests.extend(in_flight.batch.consequences());
            }
            Landing::Unknown => {
                in_flight.again_at_ms = Some(now_ms + AGAIN_MS);
                self.in_flight = Some(in_flight);
            }
            Landing::Refused => self.give_up(&in_flight),
            Landing::Unacceptable(reason) => {
                if in_flight.is_alone {
                    self.poison(&in_flight, &reason);
                }
                self.batch_max = (in_flight.inputs / 2).max(1);
                self.cautious_until_ms = now_ms + CAUTION_MS;
                self.give_up(&in_flight);
            }
        }
    }

    /// What the one input of a batch is about is set aside once it is loaded again; where the
    /// batch had no input, the run whose step it released.
    fn poison(&mut self, in_flight: &InFlight, reason: &str) {
        let commit = &in_flight.commit;
        let released = commit.dispatched.iter().map(|row| row.run);
        let concluded = commit.steps.iter().map(|row| row.run);
        let runs = match in_flight.batch.about.is_empty() {
            true => released.chain(concluded).collect(),
            false => in_flight.batch.about.clone(),
        };
        self.poisoned.extend(runs.into_iter().map(|run| (run, reason.to_owned())));
    }

    /// An owner whose commit did not land goes on under a new epoch, so that no task that it
    /// published meanwhile can pass for a decided one.
    fn give_up(&mut self, in_flight: &InFlight) {
        for advance in in_flight.commit.shards.iter() {
            self.drop_shard(advance.shard, true);
        }
    }

    /// Drops a shard's memory, and tells the shell where it does not know.
    pub(super) fn drop_shard(&mut self, number: u16, tell: bool) {
        if self.shards.remove(&number).is_none() {
            return;
        }
        let gone: Vec<Run> =
            self.runs.extract_if(.., |_, run| run.shard == number).map(|(_, run)| run).collect();
        for run in &gone {
            for step in run.live.keys() {
                if let Some(node) = run.node(step.node) {
                    self.schedule.ended(&node.pool, &run.project, 0);
                }
            }
        }
        let runs = &self.runs;
        self.schedule.forget(|run| !runs.contains_key(&run));
        self.timers.retain(|(_, run, _)| runs.contains_key(run));
        self.held.retain(|(run, _), _| runs.contains_key(run));
        self.lookups.retain(|(run, _), _| runs.contains_key(run));
        self.inputs.retain(|input| input.shard() != Some(number));
        self.pending.retain(|(shard, _), _| *shard != number);
        let pending = &self.pending;
        // An answer to a question of before must not pass for one of after a take-over.
        self.asked.retain(|_, asked| match asked.about {
            About::Command(shard, run) => pending.contains_key(&(shard, run)),
            About::Node(run, _) | About::Items(run, _) | About::Source(run, ..) => {
                runs.contains_key(&run)
            }
        });
        if tell {
            self.requests.push(Request::Release { shard: number, hand_over: false });
        }
    }

    /// Gives shards up for others to take.
    pub(super) fn hand_over(&mut self) {
        for number in std::mem::take(&mut self.leaving) {
            if self.shards.contains_key(&number) {
                self.drop_shard(number, false);
                self.requests.push(Request::Release { shard: number, hand_over: true });
            }
        }
    }

    /// Takes a shard over, as its rows say.
    pub(super) fn acquire(&mut self, now_ms: u64, mut loaded: LoadedShard) {
        self.drop_shard(loaded.shard, false);
        if let Some(doubt) = self.doubts.get_mut(&loaded.shard) {
            doubt.taken(loaded.epoch, now_ms);
        }
        let shard = Shard::acquired(&loaded, now_ms);
        self.shards.insert(loaded.shard, shard);
        for row in std::mem::take(&mut loaded.runs) {
            let (_, graph) = self.share_plan(row.row.plan, row.plan.clone());
            let run = Run::load(row, graph, now_ms);
            let id = run.id;
            for step in run.live.keys() {
                if let Some(node) = run.node(step.node) {
                    self.schedule.began(&node.pool, &run.project);
                }
            }
            let timed = run.pauses.iter().filter(|(_, pause)| !pause.is_held());
            self.timers.extend(timed.map(|(step, pause)| (pause.due_at_ms, id, *step)));
            self.runs.insert(id, run);
            self.queue_fanouts(id);
            self.inputs.push_back(super::inputs::Input::Resumed { shard: loaded.shard, run: id });
        }
    }
}

impl Batch {
    /// Keeps a run's own outputs for its summary.
    pub(super) fn keep_outputs(&mut self, run: &Run, event: &Event) {
        if let Event::Ended { outputs, .. } = event {
            self.outputs.insert(run.id, outputs.clone());
        }
    }
}

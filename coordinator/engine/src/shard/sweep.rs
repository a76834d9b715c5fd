//! What no message tells: attempts that are silent, and workers that have what they should not.

use maestro_schemas::control::Cancel;
use maestro_schemas::heartbeat::{Heartbeat, PERIOD_MS};
use maestro_schemas::id::RunId;
use maestro_schemas::step::{AttemptToken, StepAddress};
use std::sync::Arc;

use super::Fold;
use super::inputs::Input;
use super::request::{Publication, Published, Request};
use crate::decide::lapse::Silence;
use crate::run::{Live, Run};

/// How often live attempts are looked at, in milliseconds.
pub(super) const SWEEP_MS: u64 = 1_000;

/// An attempt that nobody named for so long is put on the bus again, in milliseconds: longer than
/// the bus takes to give a dead worker's task to another.
const LAPSE_MS: u64 = 10_000;

/// How long the bus may have an attempt that nobody has in hand while slots are idle, in
/// milliseconds: the bus' `max_deliver` times its `ack_wait`.
const UNCLAIMED_MS_MAX: u64 = 25_000;

/// How far an attempt may overrun its timeout before the engine ends it, in milliseconds.
const OVERRUN_MS_MAX: u64 = 30_000;

/// A cancelled attempt that no heartbeat named for two periods is over.
const CANCELLED_MS_MAX: u64 = 2 * PERIOD_MS + PERIOD_MS / 2;

/// What is to be done about a live attempt.
enum Verdict {
    Fine,
    Ensure,
    Silent(Silence),
}

impl Fold {
    /// Takes note of what a worker said, and tells it what to stop.
    pub(super) fn heard(&mut self, now_ms: u64, heartbeat: &Heartbeat) {
        self.schedule.heard(heartbeat, now_ms);
        for running in &heartbeat.running {
            let Some(run) = self.runs.get_mut(&running.run) else {
                continue;
            };
            let Some(live) =
                run.live.get_mut(&running.step).filter(|live| live.token == running.token)
            else {
                continue;
            };
            live.sight.heard_at_ms = Some(now_ms);
            live.sight.elapsed_ms = running.elapsed_ms;
            live.sight.refused_since_ms = None;
            if live.sight.cancelled_at_ms.is_some() {
                let cancel =
                    Cancel { run: running.run, attempt: Some((running.step, running.token)) };
                self.requests.push(Request::Stop { pool: heartbeat.pool.clone(), cancel });
            }
        }
    }

    /// Takes note of what the bus said of a publication.
    pub(super) fn published(
        &mut self,
        now_ms: u64,
        run: RunId,
        (step, token): (StepAddress, AttemptToken),
        result: Published,
    ) {
        let live = self
            .runs
            .get_mut(&run)
            .and_then(|run| run.live.get_mut(&step))
            .filter(|live| live.token == token);
        let Some(live) = live else { return };
        live.sight.refused_since_ms = match result {
            Published::Accepted => None,
            Published::AlreadyThere => live.sight.refused_since_ms.or(Some(now_ms)),
        };
    }

    /// Looks at every live attempt, once a period; and ensures them all once a shard that was
    /// taken over has read its inbox up to the take-over.
    pub(super) fn sweep(&mut self, now_ms: u64) {
        if now_ms < self.swept_at_ms + SWEEP_MS {
            return;
        }
        self.swept_at_ms = now_ms;
        let mut publications = Vec::new();
        let mut inputs = Vec::new();
        for run in self.runs.values_mut() {
            if !self.shards.get(&run.shard).is_some_and(|shard| shard.settled) {
                continue;
            }
            let number = run.shard;
            let mut ensured = Vec::new();
            for (step, live) in &mut run.live {
                let idle = run.plan.nodes.get(step.node as usize).is_some_and(|node| {
                    self.schedule
                        .slots(&node.pool, now_ms)
                        .is_some_and(|slots| self.schedule.in_hand(&node.pool, now_ms) < slots)
                });
                let timeout_ms =
                    run.plan.nodes.get(step.node as usize).map_or(u64::MAX, |node| node.timeout_ms);
                match judge(live, now_ms, timeout_ms, idle) {
                    Verdict::Fine => {}
                    Verdict::Ensure => {
                        live.sight.ensured_at_ms = now_ms;
                        ensured.push((*step, live.token));
                    }
                    Verdict::Silent(silence) => {
                        inputs.push(Input::Lapsed {
                            shard: number,
                            run: run.id,
                            step: *step,
                            silence,
                        });
                    }
                }
            }
            publications.extend(
                ensured.into_iter().filter_map(|(step, token)| publication(run, step, token)),
            );
        }
        self.withdraw_lapsed(&inputs);
        self.inputs.extend(inputs);
        if !publications.is_empty() {
            self.requests.push(Request::Publish(publications));
        }
    }

    /// Once a shard has read its inbox past the take-over, every live attempt of it is put on the
    /// bus again: refused means that it is queued or in hand, accepted that it had been lost.
    pub(super) fn settle(&mut self, number: u16) {
        let Some(shard) = self.shards.get_mut(&number) else {
            return;
        };
        if shard.settled
            || shard.read_past_ms < shard.acquired_at_ms
            || self.inputs.iter().any(|input| input.shard() == Some(number))
        {
            return;
        }
        shard.settled = true;
        let runs = self.runs.values().filter(|run| run.shard == number);
        let live = runs.flat_map(|run| run.live.iter().map(move |(step, live)| (run, *step, live)));
        let wanted = live.filter(|(_, _, live)| live.sight.cancelled_at_ms.is_none());
        let publications: Vec<Publication> =
            wanted.filter_map(|(run, step, live)| publication(run, step, live.token)).collect();
        if !publications.is_empty() {
            self.requests.push(Request::Publish(publications));
        }
    }

    fn withdraw_lapsed(&mut self, inputs: &[Input]) {
        for input in inputs {
            let Input::Lapsed { run, step, silence, .. } = input else {
                continue;
            };
            if *silence == Silence::Cancelled {
                continue;
            }
            let Some(live) = self.runs.get(run).and_then(|run| run.live.get(step)) else {
                continue;
            };
            let Some(pool) = self
                .runs
                .get(run)
                .and_then(|run| run.node(step.node))
                .map(|node| node.pool.clone())
            else {
                continue;
            };
            let attempt = Some((*step, live.token));
            self.requests.push(Request::Withdraw { run: *run, attempt, pools: vec![pool.clone()] });
            self.requests.push(Request::Stop { pool, cancel: Cancel { run: *run, attempt } });
        }
    }
}

fn judge(live: &Live, now_ms: u64, timeout_ms: u64, idle: bool) -> Verdict {
    let sight = &live.sight;
    let seen_at = sight.heard_at_ms.unwrap_or(0).max(sight.ensured_at_ms);
    if let Some(cancelled_at) = sight.cancelled_at_ms {
        let silent_since = cancelled_at.max(sight.heard_at_ms.unwrap_or(0));
        return match now_ms.saturating_sub(silent_since) > CANCELLED_MS_MAX {
            true => Verdict::Silent(Silence::Cancelled),
            false => Verdict::Fine,
        };
    }
    if sight.heard_at_ms.is_some() && sight.elapsed_ms > timeout_ms.saturating_add(OVERRUN_MS_MAX) {
        return Verdict::Silent(Silence::Overran);
    }
    if idle
        && sight
            .refused_since_ms
            .is_some_and(|since| now_ms.saturating_sub(since) > UNCLAIMED_MS_MAX)
    {
        return Verdict::Silent(Silence::Unclaimed);
    }
    match now_ms.saturating_sub(seen_at) > LAPSE_MS {
        true => Verdict::Ensure,
        false => Verdict::Fine,
    }
}

/// A live attempt's task, to be put on the bus again.
fn publication(run: &Run, step: StepAddress, token: AttemptToken) -> Option<Publication> {
    let priority = run.node(step.node)?.priority.rank();
    let task = Arc::new(run.prepare(step, token).ok()?);
    Some(Publication { shard: run.shard, priority, task })
}

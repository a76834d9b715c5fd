//! What an event means for the rows, for listeners and for the bus: recorded before it is applied.

use std::sync::Arc;

use maestro_schemas::action::Effect;
use maestro_schemas::control::Cancel;
use maestro_schemas::event::EventKind;
use maestro_schemas::name::PoolName;
use maestro_schemas::step::{RunState, StepAddress, StepState};

use super::batch::{Batch, told};
use super::commit::{
    AttemptRow, DispatchRow, FanoutRow, NoticeRow, ResultRow, RunChange, RunEventRow, StepRow,
    TimerRow,
};
use super::request::{Publication, Request};
use crate::decide::cancel::survives;
use crate::event::{ConcludedStep, EndedAttempt, Event};
use crate::run::advance::is_reusable;
use crate::run::{NodeStatus, Run};

/// Where an event is recorded: the run's shard as it will be after this batch.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// The batch in the making.
    pub batch: u64,
    /// The shard's clock.
    pub now_ms: u64,
}

/// Records an event that is about to be applied to `run`.
pub fn before(batch: &mut Batch, run: &Run, event: &Event, at: At) {
    batch.touched.insert(run.shard);
    match event {
        Event::FanoutOpened { .. } => {}
        Event::AttemptDecided { step, .. } if run.pauses.contains_key(step) => {
            batch.clear_timer(run.id, *step)
        }
        Event::AttemptDecided { .. } => {}
        Event::FanoutClosed { node } => {
            fanout(batch, run, *node, at);
            if let Some(row) = batch.fanouts.get_mut(&(run.id, *node)) {
                row.closed = true;
            }
        }
        Event::AttemptEnded(ended) => attempt_ended(batch, run, ended, at),
        Event::PauseBegan { step, pause } => {
            if run.pauses.contains_key(step) {
                batch.clear_timer(run.id, *step);
            }
            batch.commit.timers_set.push(TimerRow {
                run: run.id,
                step: *step,
                attempt: pause.attempt,
                lapses: pause.lapses,
                due_at_ms: pause.due_at_ms,
            });
        }
        Event::StepConcluded(concluded) => step_concluded(batch, run, concluded, at),
        Event::CancelRequested { reason } => {
            batch.changed.insert(run.id);
            withdraw_all(batch, run);
            keep(
                batch,
                run,
                at,
                EventKind::Run { state: RunState::Cancelling, cause: Some(reason.clone()) },
            );
        }
        Event::Ended { state, .. } => ended(batch, run, *state, at),
        Event::Quarantined { reason } => {
            batch.changed.insert(run.id);
            withdraw_all(batch, run);
            keep(
                batch,
                run,
                at,
                EventKind::Run { state: RunState::Quarantined, cause: Some(reason.clone()) },
            );
        }
    }
}

/// Records what only the run after the event can tell.
pub fn after(batch: &mut Batch, run: &Run, event: &Event, at: At) {
    match event {
        Event::AttemptDecided { step, token, lapses } => {
            let Some(node) = run.node(step.node) else {
                return;
            };
            batch.commit.dispatched.push(DispatchRow {
                run: run.id,
                step: *step,
                shard: run.shard,
                token: *token,
                lapses: *lapses,
                pool: node.pool.clone(),
                project: run.project.clone(),
                priority: node.priority.rank(),
                decided_at_ms: at.now_ms,
            });
            fanout(batch, run, step.node, at);
            tell_step(batch, run, (*step, StepState::Live, token.number), at);
        }
        Event::AttemptEnded(ended) if ended.state.is_final() && run.cause.is_some() => {
            batch.changed.insert(run.id);
        }
        Event::StepConcluded(concluded)
            if concluded.state == StepState::Failed && run.cause.is_some() =>
        {
            batch.changed.insert(run.id);
        }
        Event::FanoutOpened { node, count, items, reused } => {
            batch.changed.insert(run.id);
            let row = FanoutRow {
                run: run.id,
                node: *node,
                batch: at.batch,
                count: *count,
                cursor: 0,
                items: items.clone(),
                closed: false,
                reused: reused.clone(),
            };
            batch.fanouts.insert((run.id, *node), row);
        }
        _ => {}
    }
}

/// The rows of what changed once per batch, however many events changed it.
pub fn finish(
    batch: &mut Batch,
    run: &Run,
    outputs: std::collections::BTreeMap<String, serde_json::Value>,
    at: At,
) {
    batch.commit.runs_changed.push(RunChange {
        id: run.id,
        batch: at.batch,
        state: run.state,
        cause: run.cause.as_deref().map(storable),
        cancel_reason: run.cancel_reason.as_deref().map(storable),
        cancelled_again: run.cancelled_again,
        counts: run.counts,
        outputs,
        ended_at_ms: run.state.is_final().then_some(at.now_ms),
    });
}

/// A text as the database takes it: one that a tool printed may hold NUL, which no row can.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The task of a decided attempt, early where its publishing may overlap the commit.
pub fn publish(batch: &mut Batch, run: &Run, task: maestro_schemas::task::Task, overlap: bool) {
    let priority = run.node(task.step.node).map_or(0, |node| node.priority.rank());
    let early = overlap && task.effect != Effect::Once;
    let publication = Publication { shard: run.shard, priority, task: Arc::new(task) };
    if early { &mut batch.early } else { &mut batch.late }.push(publication);
}

fn attempt_ended(batch: &mut Batch, run: &Run, ended: &EndedAttempt, at: At) {
    batch.commit.undispatched.push((run.id, ended.step));
    batch.commit.attempts.push(AttemptRow {
        run: run.id,
        step: ended.step,
        shard: run.shard,
        token: ended.token,
        batch: at.batch,
        state: ended.state,
        outcome: ended.outcome,
        decided_at_ms: ended.decided_at_ms,
        ended_at_ms: ended.ended_at_ms,
        execution: ended.execution,
        worker: ended.worker.clone(),
        usage: ended.usage,
        failure: ended.failure.clone(),
        outputs: ended.outputs.clone(),
        artifacts: ended.artifacts.clone(),
    });
    result(batch, run, ended);
    let kind = EventKind::Step {
        address: ended.step,
        step: run.step_name(ended.step),
        state: ended.state,
        attempt: ended.token.number,
        failure: ended.failure.clone(),
        retry_at_ms: None,
    };
    batch.tell(&run.project, told(run.id, at.batch, at.now_ms, kind));
}

/// A result that later runs may take: the first of its key stays.
fn result(batch: &mut Batch, run: &Run, ended: &EndedAttempt) {
    let Some(node) = run.node(ended.step.node) else {
        return;
    };
    let is_sound = !run.is_based_on_former(node, ended.decided_at_ms);
    if !is_reusable(node) || ended.state != StepState::Succeeded || !is_sound {
        return;
    }
    let Some(key) = run.step_key(ended.step) else {
        return;
    };
    batch.commit.results.push(ResultRow {
        project: run.project.clone(),
        key: key.digest,
        step: run.step_name(ended.step),
        pipeline: run.plan.name.clone(),
        parts: key.parts,
        run: run.id,
        outputs: ended.outputs.clone(),
        artifacts: ended.artifacts.clone(),
    });
}

fn step_concluded(batch: &mut Batch, run: &Run, concluded: &ConcludedStep, at: At) {
    if run.pauses.contains_key(&concluded.step) {
        batch.clear_timer(run.id, concluded.step);
    }
    batch.commit.steps.push(StepRow {
        run: run.id,
        step: concluded.step,
        batch: at.batch,
        state: concluded.state,
        reason: storable(&concluded.reason),
        blocks: concluded.blocks,
        ended_at_ms: concluded.ended_at_ms,
        outputs: concluded.outputs.clone(),
        artifacts: concluded.artifacts.clone(),
    });
    tell_step(batch, run, (concluded.step, concluded.state, 0), at);
}

fn ended(batch: &mut Batch, run: &Run, state: RunState, at: At) {
    batch.changed.insert(run.id);
    let kind = EventKind::Run { state, cause: run.cause.clone() };
    batch.commit.notices.push(NoticeRow {
        run: run.id,
        project: run.project.clone(),
        kind: "run_ended".into(),
        body: serde_json::to_value(told(run.id, at.batch, at.now_ms, kind.clone()))
            .unwrap_or_default(),
    });
    keep(batch, run, at, kind);
}

/// Tells an event of the run as a whole, and keeps it.
pub fn keep(batch: &mut Batch, run: &Run, at: At, kind: EventKind) {
    let event = told(run.id, at.batch, at.now_ms, kind);
    let ordinal = batch.ordinal(run.id);
    batch.commit.run_events.push(RunEventRow {
        run: run.id,
        batch: at.batch,
        ordinal,
        at_ms: at.now_ms,
        event: serde_json::to_value(&event).unwrap_or_default(),
    });
    batch.tell(&run.project, event);
}

/// Tells the state of a step and the number of the attempt that it is about, 0 where there is none.
fn tell_step(
    batch: &mut Batch,
    run: &Run,
    (step, state, attempt): (StepAddress, StepState, u32),
    at: At,
) {
    let kind = EventKind::Step {
        address: step,
        step: run.step_name(step),
        state,
        attempt,
        failure: None,
        retry_at_ms: None,
    };
    batch.tell(&run.project, told(run.id, at.batch, at.now_ms, kind));
}

/// The fan-out's row, as the batch made it or else without what never changes, with its cursor moved.
fn fanout(batch: &mut Batch, run: &Run, node: u32, at: At) {
    let NodeStatus::Fanout(open) = run.status(node) else {
        return;
    };
    match batch.fanouts.get_mut(&(run.id, node)) {
        Some(row) => row.cursor = open.cursor,
        None => {
            let row = FanoutRow {
                run: run.id,
                node,
                batch: at.batch,
                count: open.count,
                cursor: open.cursor,
                items: None,
                closed: open.unreleased.is_some(),
                reused: None,
            };
            batch.fanouts.insert((run.id, node), row);
        }
    }
}

/// Takes a run's tasks off the bus and tells its workers to stop, but for steps that clean up
/// behind a first cancellation.
fn withdraw_all(batch: &mut Batch, run: &Run) {
    if run.plan.nodes.iter().any(survives) {
        let stopped = run
            .live
            .iter()
            .filter_map(|(step, live)| Some((*step, live.token, run.node(step.node)?)));
        for (step, token, node) in
            stopped.filter(|(_, _, node)| run.is_cancelled() || !survives(node))
        {
            let attempt = Some((step, token));
            batch.after.push(Request::Withdraw {
                run: run.id,
                attempt,
                pools: vec![node.pool.clone()],
            });
            batch.after.push(Request::Stop {
                pool: node.pool.clone(),
                cancel: Cancel { run: run.id, attempt },
            });
        }
        return;
    }
    let mut pools: Vec<PoolName> = run
        .live
        .keys()
        .filter_map(|step| run.node(step.node))
        .map(|node| node.pool.clone())
        .collect();
    pools.sort();
    pools.dedup();
    let stop = |pool: &PoolName| Request::Stop {
        pool: pool.clone(),
        cancel: Cancel { run: run.id, attempt: None },
    };
    let stops: Vec<Request> = pools.iter().map(stop).collect();
    batch.after.push(Request::Withdraw { run: run.id, attempt: None, pools });
    batch.after.extend(stops);
}

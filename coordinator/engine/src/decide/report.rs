//! A worker reported how an attempt ended.

use maestro_schemas::outcome::{Failure, FailureClass, Outcome};
use maestro_schemas::report::{Report, Usage};
use maestro_schemas::step::{StepAddress, StepState};

use super::lost::{self, Remedy};
use super::{Facts, retry};
use crate::event::{EndedAttempt, Event, Pause};
use crate::run::{Live, Run};
use crate::shard::commit::AttemptOutcome;

/// The first report of the live attempt counts, from whichever execution; any other changes
/// nothing.
pub fn decide(run: &Run, report: Report, facts: Facts) -> Vec<Event> {
    match run.live.get(&report.step) {
        Some(live) if live.token == report.token => end(run, report, live, facts),
        _ => Vec::new(),
    }
}

fn end(run: &Run, report: Report, live: &Live, facts: Facts) -> Vec<Event> {
    let mut ended = EndedAttempt {
        step: report.step,
        token: report.token,
        outcome: AttemptOutcome::Succeeded,
        state: StepState::Succeeded,
        decided_at_ms: live.decided_at_ms,
        ended_at_ms: facts.now_ms,
        execution: Some(report.execution),
        worker: Some(report.worker.to_string()),
        usage: report.usage,
        failure: None,
        outputs: Default::default(),
        artifacts: Vec::new(),
    };
    match report.outcome {
        Outcome::Succeeded { outputs, artifacts } => {
            ended.outputs = outputs;
            ended.artifacts = artifacts;
            vec![Event::AttemptEnded(Box::new(ended))]
        }
        Outcome::Failed { failure, artifacts } => {
            ended.artifacts = artifacts;
            fail(run, live, ended, failure, facts)
        }
        Outcome::Cancelled { artifacts } if run.is_cancelled() => {
            ended.artifacts = artifacts;
            ended.outcome = AttemptOutcome::Cancelled;
            ended.state = StepState::Cancelled;
            vec![Event::AttemptEnded(Box::new(ended))]
        }
        Outcome::Cancelled { artifacts } => {
            ended.artifacts = artifacts;
            let failure =
                Failure::new(FailureClass::Lapsed, "its worker gave it up without being asked to");
            fail(run, live, ended, failure, facts)
        }
    }
}

/// Ends an attempt badly, and begins the pause before the next one where there is to be one.
pub(super) fn fail(
    run: &Run,
    live: &Live,
    mut ended: EndedAttempt,
    mut failure: Failure,
    facts: Facts,
) -> Vec<Event> {
    ended.outcome = AttemptOutcome::Failed;
    let pauses = what_follows(run, ended.step, live, &mut failure, facts);
    ended.state = match pauses.is_empty() {
        false => StepState::Waiting,
        true if run.is_cancelled() => StepState::Cancelled,
        true => StepState::Failed,
    };
    ended.failure = Some(failure);
    std::iter::once(Event::AttemptEnded(Box::new(ended))).chain(pauses).collect()
}

/// The pause before the next attempt and, where a lost input is to be made first, before the
/// attempt that makes it; none where the step ends.
fn what_follows(
    run: &Run,
    step: StepAddress,
    live: &Live,
    failure: &mut Failure,
    facts: Facts,
) -> Vec<Event> {
    if run.is_cancelled() || run.state.is_final() {
        return Vec::new();
    }
    if let (FailureClass::InputLost, Some(digest)) = (failure.class, failure.lost) {
        let number = live.token.number.saturating_add(1);
        let begins = |step, attempt, lapses, due_at_ms| Event::PauseBegan {
            step,
            pause: Pause { attempt, lapses, due_at_ms },
        };
        match lost::remedy(run, step, live, digest) {
            Remedy::Again => return vec![begins(step, number, live.lapses, facts.now_ms)],
            Remedy::Hold(visit) => {
                let held = begins(step, number, live.lapses, Pause::HELD);
                let visit = visit.map(|visit| begins(visit, 1, 0, facts.now_ms));
                return visit.into_iter().chain([held]).collect();
            }
            Remedy::None(why) => failure.message = format!("{}; {why}", failure.message),
        }
    }
    let spared = lost::spared(run, step);
    let policy = run.node(step.node).map(|node| &node.retry);
    policy
        .and_then(|policy| retry::next(policy, live, spared, failure, facts.now_ms))
        .map(|pause| Event::PauseBegan { step, pause })
        .into_iter()
        .collect()
}

/// An attempt that ends without a report: nobody named it for too long.
pub(super) fn without_report(step: StepAddress, live: &Live, facts: Facts) -> EndedAttempt {
    EndedAttempt {
        step,
        token: live.token,
        outcome: AttemptOutcome::Failed,
        state: StepState::Failed,
        decided_at_ms: live.decided_at_ms,
        ended_at_ms: facts.now_ms,
        execution: None,
        worker: None,
        usage: Usage::default(),
        failure: None,
        outputs: Default::default(),
        artifacts: Vec::new(),
    }
}

//! A worker reported how an attempt ended.

use maestro_schemas::outcome::{Failure, FailureClass, Outcome};
use maestro_schemas::report::{Report, Usage};
use maestro_schemas::step::{StepAddress, StepState};

use super::{Facts, retry};
use crate::event::{EndedAttempt, Event};
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
    failure: Failure,
    facts: Facts,
) -> Vec<Event> {
    ended.outcome = AttemptOutcome::Failed;
    let step = ended.step;
    let pause = next_attempt(run, step, live, &failure, facts);
    ended.state = match pause {
        Some(_) => StepState::Waiting,
        None if run.is_cancelled() => StepState::Cancelled,
        None => StepState::Failed,
    };
    ended.failure = Some(failure);
    let mut events = vec![Event::AttemptEnded(Box::new(ended))];
    events.extend(pause.map(|pause| Event::PauseBegan { step, pause }));
    events
}

fn next_attempt(
    run: &Run,
    step: StepAddress,
    live: &Live,
    failure: &Failure,
    facts: Facts,
) -> Option<crate::event::Pause> {
    if run.is_cancelled() || run.state.is_final() {
        return None;
    }
    run.node(step.node).and_then(|node| retry::next(&node.retry, live, failure, facts.now_ms))
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

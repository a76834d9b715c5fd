//! What happened while nobody looked, as events: the difference between a run as a viewer knew it
//! and as the server says it is. So a run that was quicker than its viewer is told like any other.

use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::step::StepState;

use crate::view::model::{Run, Step};

/// An event of a step, and the state that the viewer knew before it.
pub type Missed = (StepState, Event);

/// In the order of time. `before` is what the viewer knew, if anything; `batch` is what `after`
/// is as new as. Fan-outs tell of themselves by their counts and are left out.
pub fn missed(before: Option<&Run>, after: &Run, batch: u64) -> Vec<Missed> {
    let known =
        |step: &Step| before.and_then(|run| run.step(step.address)).map(|known| known.state);
    let mut found: Vec<Missed> = after
        .steps
        .iter()
        .filter(|step| step.items.is_none())
        .map(|step| (known(step).unwrap_or(StepState::Waiting), step))
        .filter(|(was, step)| *was != step.state && step.state != StepState::Waiting)
        .map(|(was, step)| (was, event(after, step, batch)))
        .collect();
    found.sort_by_key(|(_, event)| event.at_ms);
    found
}

fn event(run: &Run, step: &Step, batch: u64) -> Event {
    let kind = EventKind::Step {
        address: step.address,
        step: step.id.clone(),
        state: step.state,
        attempt: step.attempt,
        failure: step.failure.clone(),
        retry_at_ms: None,
    };
    let at_ms = step.ended_at_ms.or(step.started_at_ms).unwrap_or(run.created_at_ms);
    Event { run: run.id, batch, at_ms, kind }
}

#[cfg(test)]
mod tests {
    use maestro_schemas::step::StepAddress;

    use super::*;
    use crate::view::model::tests::{run, turned};

    #[test]
    fn a_run_that_was_quicker_than_its_viewer_is_told_step_by_step() {
        let mut quick = run();
        let unit = StepAddress::node(1);
        quick.fold(&turned(unit, StepState::Live, 1, 2_000), 2_000);
        quick.fold(&turned(unit, StepState::Succeeded, 1, 3_000), 3_000);
        let told = missed(None, &quick, 7);
        let of_unit: Vec<_> = told
            .iter()
            .filter_map(|(was, event)| match &event.kind {
                EventKind::Step { address, state, .. } if *address == unit => {
                    Some((*was, *state, event.at_ms))
                }
                _ => None,
            })
            .collect();
        assert_eq!(of_unit, [(StepState::Waiting, StepState::Succeeded, 3_000)]);
        assert!(missed(Some(&quick), &quick, 8).is_empty(), "nothing happened since");
    }
}

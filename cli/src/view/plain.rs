//! A run as lines, one for each change: for logs, pipes and readers of screens.

use maestro_schemas::api::steps::ItemCounts;
use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::step::{RunState, StepState};

use crate::view::clean::clean;
use crate::view::duration::short;
use crate::view::model::{Run, Step};
use crate::view::words::failure;

/// Of a fan-out, so many lines tell of its progress.
const TENTHS: u64 = 10;
/// Of a fan-out, so many failed items are told of by name.
const FAILURES_MAX: u32 = 20;

/// What an event may change, as it was before.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    run: RunState,
    step: Option<(StepState, Option<ItemCounts>)>,
}

impl Before {
    /// To be taken before the event is folded.
    pub fn of(run: &Run, event: &Event) -> Self {
        let step = match &event.kind {
            EventKind::Step { address, .. } => {
                run.step(*address).map(|step| (step.state, step.items))
            }
            _ => None,
        };
        Self { run: run.state, step }
    }

    /// A step that is no fan-out was in this state.
    pub const fn step(run: &Run, was: StepState) -> Self {
        Self { run: run.state, step: Some((was, None)) }
    }
}

/// The lines of an event that was just folded.
pub fn lines(before: Before, after: &Run, event: &Event, here_ms: u64) -> Vec<String> {
    let time = short(after.elapsed_ms(here_ms));
    let said = match &event.kind {
        EventKind::Run { state, .. } if *state != before.run => {
            let cause = after.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            vec![format!("{}{cause}", state.as_str())]
        }
        EventKind::Run { .. } => vec![],
        EventKind::Started { address, step, attempt, worker } => match after.step(*address) {
            Some(known) if known.items.is_none() => {
                vec![format!("[{}] started on {}{}", clean(step), clean(worker), tried(*attempt))]
            }
            _ => vec![],
        },
        EventKind::Step { address, step, .. } => match (before.step, after.step(*address)) {
            (Some((_, Some(was))), Some(new)) => fan_out(was, new, event),
            (Some((state, None)), Some(new)) if state != new.state => {
                one(&clean(step), new, after.server_ms(here_ms))
            }
            _ => vec![],
        },
    };
    said.into_iter().map(|line| format!("{time:>7} {line}")).collect()
}

/// The last lines of a failed step's output.
pub fn tail(step: &Step) -> Vec<String> {
    step.tail.iter().map(|line| format!("        [{}] │ {}", step.id, clean(line))).collect()
}

fn one(id: &str, step: &Step, server_ms: u64) -> Vec<String> {
    let took =
        step.elapsed_ms(server_ms).map(|ms| format!(" in {}", short(ms))).unwrap_or_default();
    let why = step.failure.as_ref().map(|it| format!(": {}", failure(it))).unwrap_or_default();
    let line = match step.state {
        StepState::Live => return vec![],
        StepState::Waiting => match step.retry_at_ms {
            Some(at) => {
                let pause = short(at.saturating_sub(server_ms));
                format!("failed{}{why}; tries again in {pause}", tried(step.attempt))
            }
            None => return vec![],
        },
        StepState::Failed => format!("failed{took}{}{why}", tried(step.attempt)),
        StepState::Succeeded => format!("succeeded{took}"),
        other => {
            let reason =
                step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{}{reason}", other.as_str())
        }
    };
    vec![format!("[{id}] {line}")]
}

/// Failed items by name, up to a number; progress in tenths.
fn fan_out(was: ItemCounts, new: &Step, event: &Event) -> Vec<String> {
    let mut said = Vec::new();
    let Some(is) = new.items else { return said };
    if let EventKind::Step { step, state: StepState::Failed, failure: why, .. } = &event.kind
        && was.failed < is.failed
        && is.failed <= FAILURES_MAX
    {
        let why = why.as_ref().map(|why| format!(": {}", failure(why))).unwrap_or_default();
        said.push(format!("[{}] failed{why}", clean(step)));
    }
    let tenth = |ended: u32| u64::from(ended) * TENTHS / u64::from(is.total.max(1));
    if tenth(was.ended) < tenth(is.ended) {
        let failed = if is.failed > 0 { format!(", {} failed", is.failed) } else { String::new() };
        said.push(format!("[{}] {}/{} ended{failed}", new.id, is.ended, is.total));
    }
    said
}

fn tried(attempt: u32) -> String {
    if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::{run, started, turned};
    use maestro_schemas::step::StepAddress;

    fn tell(events: &[Event]) -> Vec<String> {
        let mut run = run();
        let mut said = Vec::new();
        for event in events {
            let before = Before::of(&run, event);
            let here_ms = event.at_ms.max(2_000);
            run.fold(event, here_ms);
            said.extend(lines(before, &run, event, here_ms));
        }
        said
    }

    #[test]
    fn each_change_is_one_line_that_names_its_step() {
        let unit = StepAddress::node(1);
        let mut end = turned(unit, StepState::Live, 1, 5_000);
        end.kind = EventKind::Run { state: RunState::Failed, cause: Some("step failed".into()) };
        let mut failed = turned(unit, StepState::Failed, 1, 4_000);
        if let EventKind::Step { step, .. } = &mut failed.kind {
            *step = "test/unit".into();
        }
        let said = tell(&[
            turned(unit, StepState::Live, 1, 2_000),
            started(unit, 1, "host-1"),
            failed.clone(),
            failed,
            end,
        ]);
        assert_eq!(
            said,
            [
                "   1.0s [step] started on host-1",
                "   3.0s [test/unit] failed in 2.0s: exit code 1: 2 tests failed",
                "   4.0s failed: step failed",
            ]
        );
    }

    #[test]
    fn a_fan_out_tells_of_failures_by_name_and_of_progress_in_tenths() {
        let said = tell(&[
            turned(StepAddress::item(2, 3), StepState::Live, 1, 2_000),
            turned(StepAddress::item(2, 3), StepState::Failed, 1, 3_000),
            turned(StepAddress::item(2, 3), StepState::Failed, 1, 3_000),
        ]);
        assert_eq!(
            said,
            [
                "   2.0s [step[3]] failed: exit code 1: 2 tests failed",
                "   2.0s [test/shard] 1/4 ended, 1 failed",
            ]
        );
    }
}

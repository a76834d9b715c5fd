//! Somebody asked that a run end early.
//!
//! What is live goes on as `cancelling` until its report or its silence. What waits is over, but
//! for steps that ask for it by `always()` or `cancelled()`, or stand in `finally`: those run, so
//! that a cancelled run can clean up behind it. A second cancellation ends those too.

use maestro_schemas::plan::Node;
use maestro_schemas::step::{StepAddress, StepState};

use super::Facts;
use crate::event::{ConcludedStep, Event};
use crate::run::{NodeStatus, Run};

/// The longest reason that is kept, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;

/// Why a step ends that had not begun.
const BEFORE: &str = "the run was cancelled before it began";

/// Whether a step runs although its run is cancelled.
pub fn survives(node: &Node) -> bool {
    match &node.condition {
        Some(condition) => condition.contains("always()") || condition.contains("cancelled()"),
        None => node.finally,
    }
}

/// Cancels a run that has not ended.
pub fn decide(run: &Run, reason: String, facts: Facts) -> Vec<Event> {
    if run.state.is_final() {
        return Vec::new();
    }
    let again = run.is_cancelled();
    let mut events = vec![Event::CancelRequested { reason }];
    let paused = run.pauses.keys().filter(|step| !run.live.contains_key(step));
    events.extend(paused.map(|step| conclude(*step, BEFORE, facts)));
    for (index, node) in (0u32..).zip(&run.plan.nodes) {
        if !again && survives(node) {
            continue;
        }
        match run.status(index) {
            NodeStatus::Waiting | NodeStatus::Asking(_) | NodeStatus::Ready => {
                events.push(conclude(StepAddress::node(index), BEFORE, facts));
            }
            NodeStatus::Fanout(_) => events.push(Event::FanoutClosed { node: index }),
            NodeStatus::Active | NodeStatus::Ended(_) => {}
        }
    }
    events
}

/// A step that ends without a further attempt because its run does.
pub(super) fn conclude(step: StepAddress, reason: &str, facts: Facts) -> Event {
    Event::StepConcluded(Box::new(ConcludedStep {
        step,
        state: StepState::Cancelled,
        reason: reason.to_owned(),
        blocks: true,
        ended_at_ms: facts.now_ms,
        outputs: Default::default(),
        artifacts: Vec::new(),
    }))
}

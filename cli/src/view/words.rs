//! States and failures as signs and words.

use maestro_schemas::outcome::{Failure, FailureClass};
use maestro_schemas::step::{RunState, StepState};

use crate::view::clean::clean;
use crate::view::paint::Paint;

/// The sign of a step's state, one character wide.
pub const fn glyph(state: StepState) -> &'static str {
    match state {
        StepState::Waiting => "·",
        StepState::Live => "▶",
        StepState::Cancelling => "◌",
        StepState::Succeeded => "✓",
        StepState::Cached => "≡",
        StepState::Failed => "✗",
        StepState::Skipped => "-",
        StepState::Cancelled => "⊘",
    }
}

/// A text in the colour of a step's state.
pub fn tint(paint: Paint, state: StepState, text: &str) -> String {
    match state {
        StepState::Succeeded | StepState::Cached => paint.good(text),
        StepState::Failed => paint.bad(text),
        StepState::Live => paint.live(text),
        StepState::Cancelling | StepState::Cancelled => paint.warn(text),
        StepState::Waiting | StepState::Skipped => paint.dim(text),
    }
}

/// A text in the colour of a run's state.
pub fn tint_run(paint: Paint, state: RunState, text: &str) -> String {
    match state {
        RunState::Running => paint.live(text),
        RunState::Succeeded => paint.good(text),
        RunState::Failed | RunState::Quarantined => paint.bad(text),
        RunState::Cancelling | RunState::Cancelled => paint.warn(text),
    }
}

/// A failure in one line: how the process ended, or the class, and what was said.
pub fn failure(failure: &Failure) -> String {
    let said = failure.message.lines().map(clean).find(|line| !line.trim().is_empty());
    let how = match (failure.exit_code, failure.signal) {
        (_, Some(signal)) => Some(format!("signal {signal}")),
        (Some(code), None) => Some(format!("exit code {code}")),
        (None, None) => (failure.class != FailureClass::Permanent)
            .then(|| failure.class.as_str().replace('_', " ")),
    };
    match (how, said) {
        (Some(how), Some(said)) if said.contains(&how) => said,
        (Some(how), Some(said)) => format!("{how}: {said}"),
        (Some(how), None) => how,
        (None, Some(said)) => said,
        (None, None) => "failed without a word".to_owned(),
    }
}

/// `1 step`, `2 steps`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_how_and_why_once() {
        let mut lost = Failure::new(FailureClass::Permanent, "two tests failed\nmore");
        assert_eq!(failure(&lost), "two tests failed");
        lost.exit_code = Some(1);
        assert_eq!(failure(&lost), "exit code 1: two tests failed");
        lost.message = "the process ended with exit code 1".to_owned();
        assert_eq!(failure(&lost), "the process ended with exit code 1");
        assert_eq!(failure(&Failure::new(FailureClass::TimedOut, "")), "timed out");
    }
}

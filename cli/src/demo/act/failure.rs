//! A run that fails on purpose: why, in five lines, and the command that retries from there.

use maestro_schemas::id::RunId;
use maestro_schemas::step::{RunState, StepState};

use super::{begin, prepare};
use crate::client::logs::LogOf;
use crate::demo::accident::{Accident, Kind};
use crate::demo::broken::promise;
use crate::demo::fleet::Fleet;
use crate::demo::place::{CHANGED_FILE, CHANGED_STEP, Place, REVIEW_STEP};
use crate::demo::voice::Voice;
use crate::demo::watch::{Ended, watch};
use crate::error::Error;
use crate::view::clean::{clean, cut};
use crate::view::words::failure;

/// So many lines of the step's output tell why.
const LINES: usize = 3;
/// No line is longer.
const COLUMNS: usize = 110;
/// What tells of a failed test, in the output of pytest.
const TELLING: [&str; 3] = ["Error", "FAILED", " failed"];

/// Breaks a test, runs, and tells why it failed.
pub async fn tell(
    place: &Place,
    fleet: &mut Fleet,
    voice: &Voice,
) -> Result<(RunId, String), Error> {
    place.break_on_purpose()?;
    voice.say(&format!("  a wrong test is added to {CHANGED_FILE}"));
    let (_, stored) = prepare(place, fleet).await?;
    let run = begin(fleet, &stored).await?;
    let ended = watch(run, fleet, &mut Accident::new(Kind::None), voice).await?;
    let state = ended.detail.summary.state;
    promise(state == RunState::Failed, "the run with a wrong test", "it fails", state.as_str())?;
    let lines = why(&ended, fleet).await?;
    voice.say("  why:");
    for line in &lines {
        voice.say(&format!("    {line}"));
    }
    Ok((run, CHANGED_STEP.to_owned()))
}

/// A line whose path begins in the step's workspace: where that was is nobody's concern.
fn in_workspace(line: &str) -> &str {
    line.split_once("/workspace/").map_or(line, |(_, path)| path)
}

/// The failed step and its reason, what its output says of it, and what did not run because of it.
async fn why(ended: &Ended, fleet: &Fleet) -> Result<Vec<String>, Error> {
    // What becomes of the review, if there is one, stops nothing.
    let in_state = |state: StepState| {
        let built = ended.run.steps.iter().filter(|step| step.id != REVIEW_STEP);
        built.filter(move |step| step.state == state)
    };
    let failed: Vec<_> = in_state(StepState::Failed).collect();
    let names = failed.iter().map(|step| step.id.as_str()).collect::<Vec<_>>().join(", ");
    promise(names == CHANGED_STEP, "the step that fails", CHANGED_STEP, names.clone())?;
    let mut lines = Vec::new();
    for step in failed {
        let reason = step.failure.as_ref().map_or_else(String::new, failure);
        lines.push(format!("✗ {}: {reason}", step.id));
        let of = LogOf { run: ended.run.id, step: step.address, attempt: None };
        let log = fleet.client.log_tail(of, 40).await?;
        let telling = log.iter().filter(|line| TELLING.iter().any(|word| line.contains(word)));
        lines.extend(telling.take(LINES).map(|line| format!("  │ {}", clean(in_workspace(line)))));
    }
    let told = lines.iter().any(|line| line.contains("test_that_fails_on_purpose"));
    promise(told, "why it failed", "the name of the wrong test", lines.join("; "))?;
    let skipped =
        in_state(StepState::Skipped).map(|step| step.id.as_str()).collect::<Vec<_>>().join(", ");
    lines.push(format!("- {skipped} did not run, because it needs {CHANGED_STEP}"));
    Ok(lines.into_iter().map(|line| cut(&line, COLUMNS)).collect())
}

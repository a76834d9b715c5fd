//! The build again, with one file changed: what is reused, what runs, which input differs.

use std::collections::BTreeSet;

use maestro_schemas::api::plans::{PlanAnswer, PlanStored};
use maestro_schemas::step::{RunState, StepState};

use super::{begin, prepare};
use crate::demo::accident::{Accident, Kind};
use crate::demo::broken::promise;
use crate::demo::facts::Again;
use crate::demo::fleet::Fleet;
use crate::demo::place::{CHANGED_FILE, CHANGED_STEP, Place, REVIEW_STEP};
use crate::demo::voice::Voice;
use crate::demo::watch::{Ended, watch};
use crate::error::Error;
use crate::view::clean::clean;
use crate::view::duration::spoken;

/// Changes the file, and runs.
pub async fn tell(place: &Place, fleet: &mut Fleet, voice: &Voice) -> Result<Again, Error> {
    place.change()?;
    voice.say(&format!("  a test is added to {CHANGED_FILE}; the plan now says:"));
    let (_, stored) = prepare(place, fleet).await?;
    tell_plan(&stored, voice);
    let run = begin(fleet, &stored).await?;
    let ended = watch(run, fleet, &mut Accident::new(Kind::None), voice).await?;
    let again = sum_up(&stored, &ended)?;
    let summary = &ended.detail.summary;
    let took_ms =
        summary.ended_at_ms.unwrap_or(summary.created_at_ms).saturating_sub(summary.created_at_ms);
    let paint = voice.output.paint_talk();
    let said = format!("✓ {} of work in {}", spoken(summary.work_ms), spoken(took_ms));
    voice.say(&format!(
        "  {}: {} reused, {} ran",
        paint.good(&said),
        again.reused,
        list(&again.ran)
    ));
    Ok(again)
}

/// `a, b and c`
fn list(names: &[String]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn tell_plan(stored: &PlanStored, voice: &Voice) {
    for step in &stored.steps {
        let (sign, why) = match step.answer {
            PlanAnswer::Cached => continue,
            PlanAnswer::Runs => ("▶", clean(&step.why)),
            PlanAnswer::Depends => ("▶", "needs what runs before it".to_owned()),
            PlanAnswer::Skipped => ("-", clean(&step.why)),
        };
        voice.say(&format!("    {sign} {:<20} {why}", clean(&step.id)));
    }
    let cached = cached(stored).collect::<Vec<_>>().join(", ");
    voice.say(&format!("    ≡ reused: {}", clean(&cached)));
}

fn cached(stored: &PlanStored) -> impl Iterator<Item = &str> {
    stored
        .steps
        .iter()
        .filter(|step| step.answer == PlanAnswer::Cached)
        .map(|step| step.id.as_str())
}

/// Holds the run to its plan: what was called cached was not executed, and one file made one test run.
fn sum_up(stored: &PlanStored, ended: &Ended) -> Result<Again, Error> {
    let of = |state: StepState| {
        ended.run.steps.iter().filter(move |step| step.state == state).map(|step| step.id.clone())
    };
    let (reused, ran): (Vec<_>, Vec<_>) =
        (of(StepState::Cached).collect(), of(StepState::Succeeded).collect());
    let changed: BTreeSet<String> =
        stored.steps.iter().flat_map(|step| step.changed.clone()).collect();
    let changed: Vec<String> = changed.into_iter().collect();
    let ok = ended.detail.summary.state == RunState::Succeeded;
    promise(
        ok,
        "the build with one file changed",
        "it succeeds",
        ended.detail.summary.state.as_str(),
    )?;
    let kept = cached(stored).all(|id| reused.iter().any(|step| step == id));
    promise(
        kept,
        "what the plan called cached",
        &cached(stored).collect::<Vec<_>>().join(", "),
        reused.join(", "),
    )?;
    let expected = [CHANGED_STEP, "report/summary"];
    let built: Vec<&str> =
        ran.iter().map(String::as_str).filter(|step| *step != REVIEW_STEP).collect();
    promise(built == expected, "the steps that ran again", &expected.join(", "), ran.join(", "))?;
    let reused_review = reused.iter().any(|step| step == REVIEW_STEP);
    promise(
        !reused_review,
        "the review of what was changed",
        "it is made anew",
        reused.join(", "),
    )?;
    let named = changed.iter().any(|part| part.contains(CHANGED_FILE));
    promise(named, "the input that differs", CHANGED_FILE, changed.join(", "))?;
    Ok(Again { run: ended.run.id, reused: reused.len(), ran, changed })
}

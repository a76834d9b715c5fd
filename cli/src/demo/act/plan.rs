//! The plan of the example: what runs, and why.

use maestro_engine::plan::print;
use maestro_schemas::api::plans::{PlanAnswer, PlanStored};

use super::prepare;
use crate::demo::broken::promise;
use crate::demo::fleet::Fleet;
use crate::demo::place::{Place, REVIEW_STEP};
use crate::demo::voice::Voice;
use crate::error::Error;
use crate::view::clean::{clean, cut};

/// No line of the plan is longer.
const COLUMNS: usize = 110;

/// Shows it, and gives what can be run.
pub async fn tell(place: &Place, fleet: &Fleet, voice: &Voice) -> Result<PlanStored, Error> {
    let (compiled, stored) = prepare(place, fleet).await?;
    for line in print::tree(&compiled.plan, &stored.steps).lines() {
        voice.say(cut(&format!("  {}", clean(line)), COLUMNS).trim_end());
    }
    voice.say(&format!("\n  plan {}: a run of it does this and nothing else", stored.digest));
    let fresh = stored
        .steps
        .iter()
        .filter(|step| step.id != REVIEW_STEP || fleet.reviewer().is_some())
        .all(|step| matches!(step.answer, PlanAnswer::Runs | PlanAnswer::Depends));
    promise(
        fresh,
        "the plan of a project that never ran",
        "no step with a result",
        format!("{:?}", stored.steps),
    )?;
    Ok(stored)
}

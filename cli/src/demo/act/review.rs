//! The review of the changed file by a model: who reviews, and what was said.

use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::step::StepState;

use crate::client::Client;
use crate::client::logs::LogOf;
use crate::demo::broken::promise;
use crate::demo::facts::Review;
use crate::demo::fleet::Fleet;
use crate::demo::place::{CHANGED_FILE, Place, REVIEW_STEP};
use crate::demo::reviewer::Reviewer;
use crate::demo::voice::Voice;
use crate::demo::watch::Ended;
use crate::error::Error;
use crate::view::clean::{clean, cut};
use crate::view::model::{Run, Step};
use crate::view::words::failure;

/// So many lines of an answer are shown.
const LINES: usize = 8;
/// No line is longer.
const COLUMNS: usize = 110;

/// Says who reviews, or what is missing, and lets the reviewer join the system.
pub async fn introduce(
    reviewer: Result<Reviewer, String>,
    fleet: &mut Fleet,
    place: &Place,
    voice: &Voice,
) -> Result<(), Error> {
    match reviewer {
        Ok(reviewer) => {
            let words = format!("  the review: {}", reviewer.words());
            fleet.add(reviewer, place).await?;
            voice.say(&words);
        }
        Err(why) => {
            let paint = voice.output.paint_talk();
            voice.say(&paint.warn("  there is no review; the rest is told without it"));
            voice.say(&format!("    {}", clean(&why)));
        }
    }
    Ok(())
}

/// Whether the event tells that the review has ended.
pub fn is_end(event: &Event) -> bool {
    matches!(&event.kind, EventKind::Step { step, state, .. } if step == REVIEW_STEP && state.is_final())
}

/// What the review says, for people, or why there is none; nothing where nobody was asked.
pub async fn words(client: &Client, run: &Run) -> Result<Vec<String>, Error> {
    let Some(step) = of(run) else { return Ok(Vec::new()) };
    let head = match step.state {
        StepState::Succeeded | StepState::Cached => {
            format!("  what {REVIEW_STEP} says of {CHANGED_FILE}:")
        }
        StepState::Failed => {
            let why = step.failure.as_ref().map_or_else(String::new, failure);
            return Ok(vec![cut(
                &format!("  {REVIEW_STEP} failed, which stops nothing: {why}"),
                COLUMNS,
            )]);
        }
        _ => return Ok(Vec::new()),
    };
    let said = said(client, run, step).await?;
    let said = said.iter().map(|line| cut(&format!("  │ {line}"), COLUMNS));
    Ok(std::iter::once(head).chain(said).collect())
}

/// Holds the review to its promise: where there is a gateway somebody answers. A provider may refuse, a
/// gateway that answers by itself may not.
pub async fn verdict(ended: &Ended, fleet: &Fleet) -> Result<Option<Review>, Error> {
    let (Some(reviewer), Some(step)) = (fleet.reviewer(), of(&ended.run)) else { return Ok(None) };
    let said = said(&fleet.client, &ended.run, step).await?;
    let spoke = step.state == StepState::Succeeded && !said.is_empty();
    let found = format!("{}: {}", step.state.as_str(), said.join("; "));
    promise(spoke || !reviewer.is_offline(), "the review", "an answer", found)?;
    let (model, offline) = (reviewer.model.to_owned(), reviewer.is_offline());
    Ok(Some(Review { model, offline, said }))
}

fn of(run: &Run) -> Option<&Step> {
    run.steps.iter().find(|step| step.id == REVIEW_STEP)
}

async fn said(client: &Client, run: &Run, step: &Step) -> Result<Vec<String>, Error> {
    let of = LogOf { run: run.id, step: step.address, attempt: None };
    let lines = client.log_tail(of, LINES).await?;
    Ok(lines.iter().map(|line| clean(line)).filter(|line| !line.trim().is_empty()).collect())
}

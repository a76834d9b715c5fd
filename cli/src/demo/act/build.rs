//! The build: its live graph, an accident in its middle, its end.

use maestro_schemas::api::plans::PlanStored;
use maestro_schemas::step::{RunState, StepState};

use super::begin;
use crate::commands::artifacts::fetch;
use crate::demo::accident::{Accident, Kind, Report};
use crate::demo::broken::promise;
use crate::demo::facts::Build;
use crate::demo::fleet::Fleet;
use crate::demo::place::{Place, REVIEW_STEP};
use crate::demo::voice::Voice;
use crate::demo::watch::{Ended, watch};
use crate::error::Error;
use crate::view::duration::spoken;
use crate::view::model::Step;
use crate::view::summary::bytes;
use crate::view::words::count;

/// A killed worker's step has begun elsewhere after this, on a busy machine too.
const ELSEWHERE_MAX_MS: u64 = 20_000;
/// The artifacts that a person wants to see: of which role, and under which name.
const SHOWN: [(&str, &str); 2] = [("archive", "networkx.tar.gz"), ("summary", "summary.txt")];

/// Runs it.
pub async fn tell(
    stored: &PlanStored,
    kind: Kind,
    fleet: &mut Fleet,
    voice: &Voice,
) -> Result<(Ended, Option<Report>), Error> {
    let run = begin(fleet, stored).await?;
    let mut accident = Accident::new(kind);
    let ended = watch(run, fleet, &mut accident, voice).await?;
    let mut built = ended.run.steps.iter().filter(|step| step.id != REVIEW_STEP);
    let succeeded = built.all(|step| step.state == StepState::Succeeded);
    let whole = succeeded && ended.detail.summary.state == RunState::Succeeded;
    promise(whole, "the build", "every step that builds succeeds", outcome(&ended))?;
    once_each(&ended, fleet).await?;
    check(kind, accident.report.as_ref())?;
    Ok((ended, accident.report))
}

/// Fails where nothing was killed, or the run did not go on as it should.
fn check(kind: Kind, report: Option<&Report>) -> Result<(), Error> {
    let found = format!("{report:?}");
    promise(report.is_some(), "the accident", "something is killed in mid-run", found.clone())?;
    let elsewhere =
        report.and_then(|report| report.pause_ms).is_some_and(|ms| ms <= ELSEWHERE_MAX_MS);
    promise(
        kind != Kind::Worker || elsewhere,
        "the killed worker's step",
        "it starts elsewhere",
        found,
    )
}

/// Fails where a step's result was recorded twice, or not at all.
async fn once_each(ended: &Ended, fleet: &Fleet) -> Result<(), Error> {
    let attempts = fleet.client.attempts(ended.run.id).await?;
    let times = |step: &Step| {
        attempts.iter().filter(|it| it.step == step.id && it.outcome == "succeeded").count()
    };
    let wrong: Vec<&str> = ended
        .run
        .steps
        .iter()
        .filter(|step| times(step) != usize::from(step.state == StepState::Succeeded))
        .map(|step| step.id.as_str())
        .collect();
    promise(
        wrong.is_empty(),
        "the attempts of the build",
        "one that succeeded for each step",
        wrong.join(", "),
    )
}

fn outcome(ended: &Ended) -> String {
    let summary = &ended.detail.summary;
    format!("{}, {}", summary.state.as_str(), summary.cause.clone().unwrap_or_default())
}

/// Tells of the end: work and time, tests, artifacts with path and digest.
pub async fn tell_end(
    ended: &Ended,
    place: &Place,
    fleet: &Fleet,
    voice: &Voice,
) -> Result<Build, Error> {
    let summary = &ended.detail.summary;
    let took_ms =
        summary.ended_at_ms.unwrap_or(summary.created_at_ms).saturating_sub(summary.created_at_ms);
    let tests = ended
        .detail
        .outputs
        .get("tests")
        .map(text)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0u64);
    let paint = voice.output.paint_talk();
    let said = format!("✓ {} of work in {}", spoken(summary.work_ms), spoken(took_ms));
    let tested = format!(
        "{}, {tests} of the project's own tests passed",
        count(summary.steps_ended, "step")
    );
    voice.say(&format!("  {}: {tested}", paint.good(&said)));
    promise(
        tests > 1_000,
        "the project's own tests",
        "more than a thousand pass",
        tests.to_string(),
    )?;
    let list = fleet.client.artifacts(summary.id).await?;
    for (role, name) in SHOWN {
        let made = list.artifacts.iter().map(|made| &made.artifact).find(|made| made.role == role);
        let made = made
            .ok_or_else(|| Error::NotFound { what: format!("the artifact {role}"), hint: None })?;
        let path = place.out().join(name);
        fetch::to_file(&fleet.client, made.digest, &path).await?;
        voice.say(&format!(
            "  {}  {}  {}",
            Place::shown(&path),
            bytes(made.size),
            paint.dim(&made.digest.to_string())
        ));
    }
    Ok(Build { run: summary.id, tests, work_ms: summary.work_ms, took_ms })
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

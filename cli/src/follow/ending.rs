//! A run's end: the rows read once more, and the last words.

use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::step::{RunState, StepAddress};
use serde_json::json;

use super::Watch;
use super::sight::Sight;
use crate::client::logs::LogOf;
use crate::error::Error;
use crate::exit::Exit;
use crate::view::duration::now_ms;
use crate::view::frame::TAIL_LINES;
use crate::view::model::{Run, Step};
use crate::view::summary::{self, Ending};

/// Of so many failed steps the last lines are fetched where the events did not bring them.
const TAILS_MAX: usize = 5;

/// Tells how the run ended, and gives the exit code that says the same.
pub async fn tell(watch: &Watch, mut run: Run, mut sight: Sight) -> Result<Exit, Error> {
    let Watch { client, output, flags, .. } = watch;
    let detail = client.run(watch.run).await?;
    let before = run.clone();
    run.refresh(&detail, client.steps(watch.run).await?);
    sight.catch_up(Some(&before), &run, detail.batch)?;
    if output.is_json() {
        output.json_line(&json!({ "event": "ended", "run": detail }))?;
        return Ok(exit(&run));
    }
    let succeeded = detail.summary.state == RunState::Succeeded;
    // What cannot be read any more is left out: the end itself is told in any case.
    let attempts =
        if succeeded { vec![] } else { client.attempts(watch.run).await.unwrap_or_default() };
    let made = if succeeded { client.artifacts(watch.run).await.ok() } else { None };
    fetch_tails(watch, &mut run).await;
    sight.leave(&run, now_ms());
    let artifacts = made.unwrap_or(ArtifactList { artifacts: vec![] }).artifacts;
    let ending =
        Ending { run: &run, detail: &detail, attempts: &attempts, artifacts: &artifacts, flags };
    output.data(&summary::lines(&ending, output.paint()).join("\n"))?;
    Ok(exit(&run))
}

async fn fetch_tails(watch: &Watch, run: &mut Run) {
    let wanting = |step: &&Step| step.has_failed() && step.tail.is_empty() && step.items.is_none();
    let missing: Vec<StepAddress> =
        run.steps.iter().filter(wanting).map(|step| step.address).take(TAILS_MAX).collect();
    for step in missing {
        let of = LogOf { run: watch.run, step, attempt: None };
        if let (Ok(tail), Some(step)) =
            (watch.client.log_tail(of, TAIL_LINES).await, run.step_mut(step))
        {
            step.tail = tail;
        }
    }
}

/// The exit code of a run's end. A run that failed by nothing but denials was denied.
fn exit(run: &Run) -> Exit {
    let denied =
        |step: &Step| step.failure.as_ref().is_some_and(|why| why.class == FailureClass::Denied);
    let mut failed = run.steps.iter().filter(|step| step.has_failed()).peekable();
    match run.state {
        RunState::Succeeded => Exit::Ok,
        _ if failed.peek().is_some() && failed.all(denied) => Exit::PolicyDenied,
        _ => Exit::RunFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::{run, turned};
    use maestro_schemas::step::StepState;

    #[test]
    fn a_run_ends_well_badly_or_denied() {
        let mut run = run();
        run.state = RunState::Succeeded;
        assert_eq!(exit(&run), Exit::Ok);
        run.state = RunState::Cancelled;
        assert_eq!(exit(&run), Exit::RunFailed);
        run.state = RunState::Failed;
        run.fold(&turned(StepAddress::node(1), StepState::Failed, 1, 2_000), 2_000);
        assert_eq!(exit(&run), Exit::RunFailed);
        for step in &mut run.steps {
            if let Some(failure) = &mut step.failure {
                failure.class = FailureClass::Denied;
            }
        }
        assert_eq!(exit(&run), Exit::PolicyDenied);
    }
}

//! `maestro runs show`.

use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::api::steps::{AttemptView, StepView};
use maestro_schemas::api::tested::TestPage;
use serde::Serialize;

use super::name::RunName;
use crate::commands::tested;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;
use crate::view::clean::clean;
use crate::view::duration::{now_ms, short};
use crate::view::frame::{Viewport, frame};
use crate::view::model::Run;
use crate::view::summary::{self, Ending};

/// The most failed cases of tests that are shown.
const CASES_SHOWN_MAX: usize = 20;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro runs show last
  maestro runs show run_01h455vb4pex5vsknk084sn02q --json")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
}

/// The document that `--json` gives.
#[derive(Debug, Serialize)]
struct Document {
    run: RunDetail,
    steps: Vec<StepView>,
    attempts: Vec<AttemptView>,
    artifacts: ArtifactList,
    tests: TestPage,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let client = &target.client;
    let run = args.run.find(client).await?;
    let document = Document {
        run: client.run(run).await?,
        steps: client.steps(run).await?,
        attempts: client.attempts(run).await?,
        artifacts: client.artifacts(run).await?,
        tests: client.tests(run, true).await?,
    };
    output.show(&document, || text(&document, target, output))?;
    Ok(Exit::Ok)
}

fn text(document: &Document, target: &Target, output: Output) -> String {
    let run = Run::new(&document.run, document.steps.clone());
    let view = Viewport { width: 1_000, height: 1_000, paint: output.paint(), here_ms: now_ms() };
    let mut lines = facts(&document.run);
    lines.push(String::new());
    lines.extend(frame(&run, view));
    if !document.tests.steps.is_empty() {
        lines.push(String::new());
        lines.push(tested::table(&document.tests.steps));
        lines.extend(tested::bad(&document.tests.cases).take(CASES_SHOWN_MAX));
    }
    if document.run.summary.state.is_final() {
        let ending = Ending {
            run: &run,
            detail: &document.run,
            attempts: &document.attempts,
            artifacts: &document.artifacts.artifacts,
            flags: &target.flags,
        };
        lines.push(String::new());
        lines.extend(summary::lines(&ending, output.paint()));
    }
    lines.join("\n")
}

fn facts(detail: &RunDetail) -> Vec<String> {
    let summary = &detail.summary;
    let age = short(now_ms().saturating_sub(summary.created_at_ms));
    let mut facts = vec![
        ("run", summary.id.to_string()),
        ("pipeline", summary.pipeline.clone()),
        ("plan", summary.plan.to_string()),
        ("began", format!("{age} ago")),
    ];
    facts.extend(summary.rerun_of.map(|of| ("rerun of", of.to_string())));
    facts.extend(summary.labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
    facts.extend(detail.inputs.iter().map(|(key, value)| ("input", format!("{key}={value}"))));
    facts.into_iter().map(|(name, value)| format!("{name:<9} {}", clean(&value))).collect()
}

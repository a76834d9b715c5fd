//! `maestro runs list`.

use maestro_schemas::api::runs::{RunPage, RunSummary};
use maestro_schemas::step::RunState;

use crate::client::runs::RunFilter;
use crate::commands::runs::name::pair;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;
use crate::view::duration::{now_ms, short};
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro runs list
  maestro runs list --state failed --pipeline nightly
  maestro runs list --label branch=main --limit 100 --json")]
pub struct Args {
    /// Only runs in this state: running, cancelling, succeeded, failed, cancelled or quarantined.
    #[arg(long, value_parser = state)]
    state: Option<RunState>,
    /// Only runs of the pipeline of this name.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only runs with this label; may be given several times.
    #[arg(long = "label", value_name = "K=V", value_parser = pair)]
    labels: Vec<(String, String)>,
    /// The most runs.
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the former page ended.
    #[arg(long)]
    cursor: Option<String>,
}

fn state(text: &str) -> Result<RunState, String> {
    RunState::parse(text).ok_or_else(|| format!("{text:?} is no state of a run"))
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let filter = RunFilter {
        state: args.state.map(|state| state.as_str().to_owned()),
        pipeline: args.pipeline,
        labels: args.labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect(),
        limit: args.limit,
        cursor: args.cursor,
    };
    let page = target.client.runs(&filter).await?;
    output.show(&page, || table(&page, now_ms()))?;
    if let (Some(next), false) = (&page.next, output.is_json()) {
        output.talk(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

fn table(page: &RunPage, now_ms: u64) -> String {
    let mut table = Table::new(&["run", "pipeline", "state", "steps", "age", "time", "cause"]);
    for run in &page.runs {
        table.row(cells(run, now_ms));
    }
    table.render("no runs")
}

fn cells(run: &RunSummary, now_ms: u64) -> [String; 7] {
    let end = run.ended_at_ms.unwrap_or(now_ms);
    [
        run.id.to_string(),
        run.pipeline.clone(),
        run.state.as_str().to_owned(),
        format!("{}/{}", run.steps_ended, run.steps_total),
        short(now_ms.saturating_sub(run.created_at_ms)),
        short(end.saturating_sub(run.created_at_ms)),
        run.cause.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::detail;

    #[test]
    fn a_run_is_a_row() {
        let mut run = detail().summary;
        run.cause = Some("test/unit: exit code 1".into());
        let page = RunPage { runs: vec![run], next: None };
        assert_eq!(
            table(&page, 61_000),
            "RUN                             PIPELINE  STATE    STEPS  AGE     TIME    CAUSE\n\
             run_01h455vb4pex5vsknk084sn02q  demo      running  0/3    1m 00s  1m 00s  test/unit: exit code 1"
        );
    }
}

//! `maestro runs why`.

use maestro_schemas::api::runs::WhyReport;

use super::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every waiting step has exactly one reason.

Examples:
  maestro runs why last")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    let report = target.client.why(run).await?;
    output.show(&report, || table(&report))?;
    Ok(Exit::Ok)
}

fn table(report: &WhyReport) -> String {
    let mut table = Table::new(&["step", "waits for", "detail"]);
    for waiting in &report.waiting {
        table.row([waiting.step.clone(), waiting.reason.clone(), waiting.detail.clone()]);
    }
    table.render("no step waits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::api::runs::Waiting;

    #[test]
    fn a_waiting_step_is_a_row() {
        let waiting = vec![Waiting {
            step: "analyze/generate".into(),
            reason: "pool".into(),
            detail: "no worker serves pool llm".into(),
        }];
        assert_eq!(
            table(&WhyReport { waiting }),
            "STEP              WAITS FOR  DETAIL\nanalyze/generate  pool       no worker serves pool llm"
        );
        assert_eq!(table(&WhyReport { waiting: vec![] }), "no step waits");
    }
}

//! `maestro runs cancel`.

use serde_json::json;

use super::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The run ends once its live steps have ended; `maestro runs watch` shows when that is.

Examples:
  maestro runs cancel last --reason 'wrong branch'")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
    /// Why, for people.
    #[arg(long, value_name = "WORDS", default_value = "cancelled from the command line")]
    reason: String,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    target.client.cancel(run, &args.reason).await?;
    if output.is_json() {
        output.json(&json!({ "run": run, "cancelled": true }))?;
    } else {
        output.talk(&format!("{run} is being cancelled"));
    }
    Ok(Exit::Ok)
}

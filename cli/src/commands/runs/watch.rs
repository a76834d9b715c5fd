//! `maestro runs watch`.

use std::time::Duration;

use super::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::follow::Watch;
use crate::output::Output;
use crate::target::Target;
use crate::view::duration;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with the run: exit code 0 where it succeeded, 3 where it did not. Ctrl-C asks whether to
cancel the run or to leave it to itself.

Examples:
  maestro runs watch last
  maestro runs watch last --wait-timeout 10m --json")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
    /// Leave the run to itself after this time, with exit code 7; as 90s, 10m or 1h.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    wait_timeout: Option<Duration>,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    let client = target.client.clone();
    let watch = Watch { client, run, output, wait: args.wait_timeout, flags: target.flags.clone() };
    watch.to_the_end().await
}

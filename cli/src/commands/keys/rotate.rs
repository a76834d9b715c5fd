//! `maestro keys rotate`.

use std::time::Duration;

use super::{Place, list};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::passphrase;
use crate::view::duration;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A coordinator signs with the new key from its next signature on, without a restart.

Examples:
  maestro keys rotate --keys keys
  maestro keys rotate --keys keys --valid 90d --grace 10m")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// How long the new key is good.
    #[arg(long, default_value = "365d", value_name = "TIME", value_parser = duration::parse)]
    valid: Duration,
    /// How long those before it are good for new signatures.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration::parse)]
    grace: Duration,
}

pub(super) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let home = args.place.home();
    let trust = home.rotate(&passphrase::both()?, args.valid, args.grace).await?;
    list::show(&trust, output)
}

//! `maestro keys init`.

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
Give the root's fingerprint to everybody who verifies, by another way than this server. Keep
root.key where no server is.

Examples:
  MAESTRO_KEY_PASSPHRASE=… MAESTRO_ROOT_PASSPHRASE=… maestro keys init --keys keys
  maestro keys init --keys keys --valid 90d")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// How long the first key is good.
    #[arg(long, default_value = "365d", value_name = "TIME", value_parser = duration::parse)]
    valid: Duration,
}

pub(super) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let trust = args.place.home().init(&passphrase::both()?, args.valid).await?;
    list::show(&trust, output)
}

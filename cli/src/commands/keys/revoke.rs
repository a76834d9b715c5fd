//! `maestro keys revoke`.

use super::{Place, list};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::passphrase;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing that the key has signed is believed any more, whenever that was: whoever has the key can
write any time. Rotate first, or nothing can be signed.

Examples:
  maestro keys revoke 3f9a1c22b7d0 --reason \"laptop stolen\" --keys keys")]
pub(super) struct Args {
    /// The key's fingerprint, or at least 6 digits of its beginning.
    key: String,
    /// Why, in words that verifiers will read.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let home = args.place.home();
    let trust = home.revoke(&passphrase::root()?, &args.key, &args.reason).await?;
    list::show(&trust, output)
}

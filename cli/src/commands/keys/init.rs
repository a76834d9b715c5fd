//! `maestro keys init`.

use std::time::Duration;

use super::{Place, list, next};
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
  maestro keys init --keys keys --valid 90d
  maestro keys init --keys keys --kms arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// How long the first key is good.
    #[arg(long, default_value = "365d", value_name = "TIME", value_parser = duration::parse)]
    valid: Duration,
    /// Sign with this key of AWS KMS, by its ARN: of the spec ECC_NIST_P256, for signing. It stays
    /// there, and a coordinator needs no passphrase for it.
    #[arg(long, value_name = "ARN")]
    kms: Option<String>,
}

pub(super) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let (root, first) = (passphrase::root()?, next(args.kms.as_deref()).await?);
    let trust = args.place.home().init(&root, &first, args.valid).await?;
    list::show(&trust, output)
}

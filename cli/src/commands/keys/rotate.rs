//! `maestro keys rotate`.

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
A coordinator signs with the new key from its next signature on, without a restart.

Examples:
  maestro keys rotate --keys keys
  maestro keys rotate --keys keys --valid 90d --grace 10m
  maestro keys rotate --keys keys --kms arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// How long the new key is good.
    #[arg(long, default_value = "365d", value_name = "TIME", value_parser = duration::parse)]
    valid: Duration,
    /// How long those before it are good for new signatures.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration::parse)]
    grace: Duration,
    /// Sign with this key of AWS KMS, by its ARN: of the spec ECC_NIST_P256, for signing. It stays
    /// there, and a coordinator needs no passphrase for it.
    #[arg(long, value_name = "ARN")]
    kms: Option<String>,
}

pub(super) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let home = args.place.home();
    let (root, next) = (passphrase::root()?, next(args.kms.as_deref()).await?);
    let trust = home.rotate(&root, &next, args.valid, args.grace).await?;
    list::show(&trust, output)
}

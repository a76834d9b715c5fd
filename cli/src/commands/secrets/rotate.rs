//! `maestro secrets rotate`.

use std::time::Duration;

use maestro_schemas::name::SecretName;

use super::set::line;
use super::value::Source;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::duration;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Steps that begin from now on get the new value. The former version is given out for --grace to steps
that name it, as npm-token@1, and is then deleted. --grace 0 deletes it at once.

Examples:
  maestro secrets rotate npm-token < new.txt
  maestro secrets rotate deploy-key --from-file deploy.pem --grace 7d")]
pub struct Args {
    /// The secret.
    #[arg(value_name = "NAME")]
    name: SecretName,
    #[command(flatten)]
    source: Source,
    /// How long the former version is given out to steps that name it, at most 30d.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration::parse)]
    grace: Duration,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let value = args.source.read()?;
    let target = target::connect(global).await?;
    let made = target.client.rotate_secret(&args.name, &value, args.grace).await?;
    output.show(&made, || line(&made))?;
    Ok(Exit::Ok)
}

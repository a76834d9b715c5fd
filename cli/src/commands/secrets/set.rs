//! `maestro secrets set`.

use maestro_schemas::api::secrets::SecretVersion;
use maestro_schemas::name::SecretName;

use super::value::Source;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value has 6 bytes to 64 KiB. A secret that is set is refused: `maestro secrets rotate` replaces it.

Examples:
  maestro secrets set npm-token < token.txt
  printf %s \"$TOKEN\" | maestro secrets set npm-token
  maestro secrets set deploy-key --from-file ~/.ssh/deploy --project shop")]
pub struct Args {
    /// The secret.
    #[arg(value_name = "NAME")]
    name: SecretName,
    #[command(flatten)]
    source: Source,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let value = args.source.read()?;
    let target = target::connect(global).await?;
    let made = target.client.set_secret(&args.name, &value).await?;
    output.show(&made, || line(&made))?;
    Ok(Exit::Ok)
}

pub(super) fn line(made: &SecretVersion) -> String {
    format!("{}@{} is set", made.name, made.version)
}

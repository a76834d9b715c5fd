//! `maestro secrets revoke`.

use maestro_schemas::secret::SecretRef;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::words::count;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A revoked version is deleted and given to nobody. Steps that have it already keep it until they end.

Examples:
  maestro secrets revoke npm-token@1
  maestro secrets revoke npm-token")]
pub struct Args {
    /// The secret with a version; without one, every version of it.
    #[arg(value_name = "NAME[@VERSION]")]
    secret: SecretRef,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let revoked = target.client.revoke_secret(&args.secret).await?;
    output.show(&revoked, || {
        let versions = count(u64::from(revoked.versions), "version");
        format!("{}: {versions} revoked", args.secret)
    })?;
    Ok(Exit::Ok)
}

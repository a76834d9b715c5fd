//! `maestro audit show`.

use maestro_schemas::audit::EntryId;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro audit show cmd_01h455vb4pex5vsknk084sn02q")]
pub struct Args {
    /// The entry.
    #[arg(value_name = "ENTRY")]
    entry: EntryId,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let item = target.client.audit_entry(args.entry).await?;
    output.text(&(serde_json::to_string_pretty(&item)? + "\n"))?;
    Ok(Exit::Ok)
}

//! `maestro audit`: what was done, and whether the log of it is as it was signed.

mod keys;
mod list;
mod prove;
mod show;
mod verify;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Everything that changes something is an entry of one log, whose signed head stands in object storage.
docs/audit.md says more.

Examples:
  maestro audit list --actor ada
  maestro audit verify --root sha256:5b1c…
  maestro audit prove cmd_01h455vb4pex5vsknk084sn02q -o cancel.tlog-proof")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// List what was done in the project, the youngest first.
    List(list::Args),
    /// Show an entry.
    Show(show::Args),
    /// Compare all of the log with its signatures and with the database; or check a proof offline.
    Verify(verify::Args),
    /// Fetch the proof that an entry is in the log.
    Prove(prove::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::List(args) => list::perform(args, global, output).await,
        Ask::Show(args) => show::perform(args, global, output).await,
        Ask::Verify(args) => verify::perform(args, global, output).await,
        Ask::Prove(args) => prove::perform(args, global, output).await,
    }
}

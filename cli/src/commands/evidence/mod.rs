//! `maestro evidence`: what was signed of a run, as plain files.

mod export;
mod promotions;
mod write;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

pub use write::write;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro evidence export last --to evidence
  maestro verify --dir evidence")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Write all that a run left, with its statements and the public keys, to a directory.
    Export(export::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    match args.ask {
        Ask::Export(args) => export::perform(args, &target, output).await,
    }
}

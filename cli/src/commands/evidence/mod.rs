//! `maestro evidence`: what was signed of a run, as plain files and at its images.

mod attach;
mod audit;
mod export;
pub mod image;
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
  maestro verify --dir evidence
  maestro evidence attach ghcr.io/intelgraph/service:1.4.0")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Write all that a run left, with its statements and the public keys, to a directory.
    Export(export::Args),
    /// Attach the statements about an image to it, in its registry.
    Attach(attach::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Export(args) => export::perform(args, &target::connect(global).await?, output).await,
        Ask::Attach(args) => attach::perform(args, global, output).await,
    }
}

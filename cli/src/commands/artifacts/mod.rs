//! `maestro artifacts`: what steps made.

pub mod fetch;
pub mod get;
pub mod list;
pub mod tree;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro artifacts list last
  maestro artifacts get last package/tar dist -o dist.tar.gz")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// List what the steps of a run made.
    List(list::Args),
    /// Fetch an artifact, verified against its digest.
    Get(get::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    match args.ask {
        Ask::List(args) => list::perform(args, &target, output).await,
        Ask::Get(args) => get::perform(args, &target, output).await,
    }
}

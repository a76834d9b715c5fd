//! `maestro route`: which model a question goes to.

pub mod simulate;
mod table;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro route simulate --train last-month.csv --judge this-month.csv")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Learn from one file of outcomes, and report what routing costs and scores on another.
    Simulate(simulate::Args),
}

/// Does what the subcommand says.
pub fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Simulate(args) => simulate::perform(&args, output),
    }
}

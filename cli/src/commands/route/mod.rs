//! `maestro route`: which model a question goes to, and what of a text must not go everywhere.

pub mod simulate;
mod table;
pub mod tags;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro route simulate --train last-month.csv --judge this-month.csv
  maestro route tags prompt.txt")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Learn from one file of outcomes, and report what routing costs and scores on another.
    Simulate(simulate::Args),
    /// Say what of a text is personal data, a secret, or under export control.
    Tags(tags::Args),
}

/// Does what the subcommand says.
pub fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Simulate(args) => simulate::perform(&args, output),
        Ask::Tags(args) => tags::perform(&args, output),
    }
}

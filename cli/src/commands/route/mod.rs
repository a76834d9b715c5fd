//! `maestro route`: which model a question goes to, and what of a text must not go everywhere.

pub mod bench;
pub mod replay;
pub mod score;
pub mod simulate;
mod table;
pub mod tags;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro route simulate --train last-month.csv --judge this-month.csv
  maestro route tags prompt.txt
  maestro route replay dec_01h455vb4pex5vsknk084sn02q
  maestro route score --decision dec_01h455vb4pex5vsknk084sn02q --score 0.8")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Learn from one file of outcomes, and report what routing costs and scores on another.
    Simulate(simulate::Args),
    /// Make a decision again from what it was made from, or by other policies.
    Replay(replay::Args),
    /// Tell how good an answer was, so that the router learns it.
    Score(score::Args),
    /// Measure how long a server takes to decide.
    Bench(bench::Args),
    /// Say what of a text is personal data, a secret, or under export control.
    Tags(tags::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Simulate(args) => simulate::perform(&args, output),
        Ask::Replay(args) => replay::perform(args, global, output).await,
        Ask::Score(args) => score::perform(args, global, output).await,
        Ask::Bench(args) => bench::perform(args, global, output).await,
        Ask::Tags(args) => tags::perform(&args, output),
    }
}

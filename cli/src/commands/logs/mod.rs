//! `maestro logs`: what steps wrote, whole or as it comes.

pub mod follow;
pub mod pick;
pub mod print;

use crate::args::Global;
use crate::commands::runs::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
STEP is a step's id, as test/unit, or test/shard[3] for one item of a fan-out. Without it the
output of every step is printed, each line behind the step's id.

Examples:
  maestro logs last
  maestro logs last test/unit --attempt 1
  maestro logs last --failed
  maestro logs -f last build/rust")]
pub struct Args {
    /// Go on until the step, or the run, has ended.
    #[arg(short, long)]
    follow: bool,
    /// Only steps that failed.
    #[arg(long, conflicts_with_all = ["follow", "step"])]
    failed: bool,
    /// Another attempt than the last.
    #[arg(long, value_name = "NUMBER", requires = "step")]
    attempt: Option<u32>,
    /// The run's id, or `last`.
    run: RunName,
    /// The step's id.
    step: Option<String>,
}

/// Prints what is asked for.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let client = &target.client;
    let run = args.run.find(client).await?;
    if let Some(id) = &args.step {
        let mut of = pick::step(client, run, id).await?;
        of.attempt = args.attempt;
        let log = if args.follow {
            follow::open(client, of).await?
        } else {
            client.log(of, false).await?
        };
        print::whole(log, output).await?;
    } else if args.follow {
        follow::run(client, run, output).await?;
    } else {
        print::many(client, pick::all(client, run, args.failed).await?, output).await?;
    }
    Ok(Exit::Ok)
}

//! `maestro runs`: list, show, watch, cancel, rerun, why, why-cached.

pub mod cancel;
pub mod list;
pub mod name;
pub mod rerun;
pub mod show;
pub mod watch;
pub mod why;
pub mod why_cached;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
RUN is a run's id, or `last` for the youngest run of the project.

Examples:
  maestro runs list --state failed
  maestro runs show last
  maestro runs rerun last --failed")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// List runs, the youngest first.
    List(list::Args),
    /// Show a run, its steps and what it made.
    Show(show::Args),
    /// Watch a run to its end.
    Watch(watch::Args),
    /// End a run early.
    Cancel(cancel::Args),
    /// Run again what failed, or from a step on.
    Rerun(rerun::Args),
    /// Say why each waiting step of a run waits.
    Why(why::Args),
    /// Say whether a step's result was known, and which input differs where not.
    WhyCached(why_cached::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    match args.ask {
        Ask::List(args) => list::perform(args, &target, output).await,
        Ask::Show(args) => show::perform(args, &target, output).await,
        Ask::Watch(args) => watch::perform(args, &target, output).await,
        Ask::Cancel(args) => cancel::perform(args, &target, output).await,
        Ask::Rerun(args) => rerun::perform(args, target, output).await,
        Ask::Why(args) => why::perform(args, &target, output).await,
        Ask::WhyCached(args) => why_cached::perform(args, &target, output).await,
    }
}

//! `maestro prompts`: prompts as versions that people compare, try and label.

mod diff;
mod label;
mod list;
mod local;
mod name;
mod push;
mod render;
mod show;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A prompt NAME is the file prompts/NAME.md beside the pipeline. docs/prompts.md says more.

Examples:
  maestro prompts push
  maestro prompts diff code_review
  maestro prompts label code_review@3 approved")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Keep the files of prompts: a new version of each whose text is new.
    Push(push::Args),
    /// List prompts, or the versions of one.
    List(list::Args),
    /// Show a version and its text.
    Show(show::Args),
    /// Show what changed between versions, or in the file.
    Diff(diff::Args),
    /// Show the messages that a model would be sent.
    Render(render::Args),
    /// Give a version a label, or take it away.
    Label(label::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Push(args) => push::perform(args, global, output).await,
        Ask::List(args) => list::perform(args, global, output).await,
        Ask::Show(args) => show::perform(args, global, output).await,
        Ask::Diff(args) => diff::perform(args, global, output).await,
        Ask::Render(args) => render::perform(args, global, output).await,
        Ask::Label(args) => label::perform(args, global, output).await,
    }
}

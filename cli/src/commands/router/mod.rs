//! `maestro router`: the router's configuration.

mod render;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro router render
  maestro router render --offline > litellm.generated.yaml")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Print LiteLLM's own configuration, made from Maestro's.
    Render(render::Args),
}

/// Does what the subcommand says.
pub fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Render(args) => render::perform(&args, output),
    }
}

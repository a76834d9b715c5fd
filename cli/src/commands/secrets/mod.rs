//! `maestro secrets`: values that steps get and nobody reads back.

mod keys;
mod list;
mod revoke;
mod rewrap;
mod rotate;
mod set;
mod uses;
mod value;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A step names a secret under `secrets:`, and its processes get the value as a variable or as a file.
Nobody reads a value back. docs/secrets.md says more.

Examples:
  maestro secrets set npm-token < token.txt
  maestro secrets set deploy-key --from-file ~/.ssh/deploy
  maestro secrets rotate npm-token --grace 1h < new.txt
  maestro secrets revoke npm-token@1")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Set a secret that is not set.
    Set(set::Args),
    /// List secrets and their versions, without values.
    List(list::Args),
    /// Give a secret a new value; the former is given out for a while.
    Rotate(rotate::Args),
    /// Take a version back at once, or all of them.
    Revoke(revoke::Args),
    /// Wrap the project's data keys by the newest key-encryption key.
    Rewrap(rewrap::Args),
    /// Make and rotate the key-encryption keys of a server.
    Keys(keys::Args),
    /// Show which secrets the attempts of a run were given.
    Uses(uses::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Set(args) => set::perform(args, global, output).await,
        Ask::List(args) => list::perform(args, global, output).await,
        Ask::Rotate(args) => rotate::perform(args, global, output).await,
        Ask::Revoke(args) => revoke::perform(args, global, output).await,
        Ask::Rewrap(args) => rewrap::perform(args, global, output).await,
        Ask::Keys(args) => keys::perform(args, output),
        Ask::Uses(args) => uses::perform(args, global, output).await,
    }
}

//! `maestro keys`: the keys that sign what runs have left.

mod init;
mod list;
mod revoke;
mod rotate;

use std::path::PathBuf;

use maestro_evidence::key::home::Home;
use maestro_evidence::key::next::Next;

use crate::env_vars;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::passphrase;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A root key signs the list of keys and nothing else; keys of the list sign the evidence of runs. The
passphrase of the keys that sign is in MAESTRO_KEY_PASSPHRASE, that of the root in
MAESTRO_ROOT_PASSPHRASE. A coordinator needs the directory without root.key. docs/supply-chain.md
says more.

Examples:
  maestro keys init --keys /etc/maestro/keys
  maestro keys list --keys /etc/maestro/keys
  maestro coordinator --keys /etc/maestro/keys …")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Make a root key and a first key that signs.
    Init(init::Args),
    /// List the keys, and since when and until when they are good.
    List(list::Args),
    /// Make a next key that signs; those before it are good for a while more.
    Rotate(rotate::Args),
    /// Say that a key must not be trusted any more.
    Revoke(revoke::Args),
}

/// Which directory.
#[derive(Debug, clap::Args)]
struct Place {
    /// The directory of keys.
    #[arg(long, env = env_vars::KEYS, value_name = "DIRECTORY")]
    keys: PathBuf,
}

impl Place {
    fn home(&self) -> Home {
        Home::at(&self.keys)
    }
}

/// A next key that signs: of AWS KMS where one is named, or else made here.
async fn next(kms: Option<&str>) -> Result<Next, Error> {
    Ok(match kms {
        Some(arn) => Next::of_kms(arn).await?,
        None => Next::made(&passphrase::signing()?)?,
    })
}

/// Does what the subcommand says.
pub async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Init(args) => init::perform(args, output).await,
        Ask::List(args) => list::perform(args, output),
        Ask::Rotate(args) => rotate::perform(args, output).await,
        Ask::Revoke(args) => revoke::perform(args, output).await,
    }
}

//! `maestro secrets keys`: the file of key-encryption keys that a server keeps secrets by.

use std::path::PathBuf;

use maestro_evidence::secret::key_file::KeyFile;
use serde_json::json;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file has mode 0600 and is read anew at each use. Without it no secret can be decrypted: keep a copy.
docs/secrets.md says more.

Examples:
  maestro secrets keys init /etc/maestro/secrets.key
  maestro secrets keys rotate /etc/maestro/secrets.key
  maestro secrets keys list /etc/maestro/secrets.key")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Make a file with a new key.
    Init(Place),
    /// Put a new key before those of a file; `maestro secrets rewrap` then wraps by it.
    Rotate(Place),
    /// Take a key out of a file that wraps nothing any more.
    Retire(Retire),
    /// List the ids of a file's keys, the one that wraps first.
    List(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Retire {
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key's id.
    #[arg(value_name = "ID")]
    id: String,
}

/// Does what the subcommand says.
pub(super) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let ids = match &args.ask {
        Ask::Init(Place { file }) => KeyFile::make(file).map(|id| vec![id]),
        Ask::Rotate(Place { file }) => KeyFile::rotate(file).map(|id| vec![id]),
        Ask::Retire(Retire { file, id }) => {
            KeyFile::retire(file, id).and_then(|()| KeyFile::ids(file))
        }
        Ask::List(Place { file }) => KeyFile::ids(file),
    };
    let ids = ids.map_err(Error::KeyFile)?;
    output.show(&json!({ "keys": ids }), || ids.join("\n"))?;
    Ok(Exit::Ok)
}

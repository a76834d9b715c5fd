//! `maestro evidence export`.

use std::path::PathBuf;

use serde_json::json;

use super::write;
use crate::commands::runs::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The directory then holds the run's artifacts and logs as plain files, its records, a statement for
each attempt that made something, the list of keys, and a manifest that names every file with its
digest. `maestro verify --dir DIR` needs nothing else.

Examples:
  maestro evidence export last --to evidence
  maestro evidence export run_01989c5e-1bfa-7a8e-8f43-6f2f3c5a7b10 --to /srv/audit/2026-11 --json")]
pub struct Args {
    /// The run's id, or `last`. It has ended.
    run: RunName,
    /// The directory to write; it must not exist yet.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    let files = write(&target.client, run, &args.to, output).await?;
    if output.is_json() {
        output.json(&json!({ "run": run, "directory": args.to, "files": files }))?;
    } else {
        let place = args.to.display();
        output.talk(&format!(
            "{place} holds {files} files; check them with `maestro verify --dir {place}`"
        ));
    }
    Ok(Exit::Ok)
}

//! `maestro audit prove`.

use std::path::PathBuf;

use maestro_evidence::log::ticket::Ticket;
use maestro_schemas::audit::EntryId;
use serde_json::json;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The proof holds the entry itself, and is checked without a server: maestro audit verify --proof FILE.

Examples:
  maestro audit prove cmd_01h455vb4pex5vsknk084sn02q -o cancel.tlog-proof
  maestro audit prove act_01h455vb4pex5vsknk084sn02q | maestro audit verify --proof - --key maestro.pub")]
pub struct Args {
    /// The entry.
    #[arg(value_name = "ENTRY")]
    entry: EntryId,
    /// The file to write; standard output where it is absent.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let text = target.client.audit_proof(args.entry).await?;
    let ticket = Ticket::parse(&text)
        .map_err(|source| Error::Proof { what: args.entry.to_string(), source })?;
    let Some(path) = &args.output else {
        output.text(&text)?;
        return Ok(Exit::Ok);
    };
    tokio::fs::write(path, &text).await.map_err(Error::file("write", path))?;
    let told = json!({ "entry": args.entry, "place": ticket.index, "path": path });
    if output.is_json() {
        output.json(&told)?;
    } else {
        output.talk(&format!("{} proves the entry {}", path.display(), ticket.index));
    }
    Ok(Exit::Ok)
}

//! `maestro artifacts list`.

use maestro_schemas::api::artifacts::ArtifactList;

use crate::commands::runs::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;
use crate::view::summary::bytes;
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro artifacts list last
  maestro artifacts list last --json")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    let list = target.client.artifacts(run).await?;
    output.show(&list, || table(&list))?;
    Ok(Exit::Ok)
}

fn table(list: &ArtifactList) -> String {
    let mut table = Table::new(&["step", "role", "size", "type", "digest"]);
    for made in &list.artifacts {
        let artifact = &made.artifact;
        table.row([
            made.step.clone(),
            artifact.role.clone(),
            bytes(artifact.size),
            artifact.media_type.clone(),
            artifact.digest.to_string(),
        ]);
    }
    table.render("no artifacts")
}

//! `maestro prompts show`.

use maestro_schemas::api::prompts::PromptVersion;

use super::name::{NEWEST, Pick};
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The text goes to standard output, and what is known of the version to standard error.

Examples:
  maestro prompts show code_review
  maestro prompts show code_review@2 > former.md
  maestro prompts show code_review@newest --json")]
pub struct Args {
    /// The prompt, as NAME, NAME@VERSION or NAME@sha256:…; without a version the newest.
    #[arg(value_name = "NAME[@VERSION]")]
    prompt: Pick,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let client = &target.client;
    let which = args.prompt.which.as_deref().unwrap_or(NEWEST);
    let found = client.prompt(&args.prompt.name, which).await?;
    if output.is_json() {
        output.json(&found)?;
    } else {
        output.talk(&about(&found.version));
        output.text(&found.text)?;
    }
    Ok(Exit::Ok)
}

fn about(version: &PromptVersion) -> String {
    let labels: Vec<String> = version.labels.iter().map(|label| clean(label)).collect();
    let labels = if labels.is_empty() { "no labels".to_owned() } else { labels.join(", ") };
    let (name, by) = (clean(&version.name), clean(&version.created_by));
    format!("{name}@{} {} by {by}: {labels}", version.version, version.digest)
}

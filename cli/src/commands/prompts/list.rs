//! `maestro prompts list`.

use maestro_schemas::api::prompts::{PromptPage, PromptVersion};

use super::name;
use crate::args::Global;
use crate::client::prompts::Page;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::duration::{now_ms, short};
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro prompts list
  maestro prompts list code_review --limit 10 --json")]
pub struct Args {
    /// The versions of this prompt; without it the newest of each.
    #[arg(value_name = "NAME", value_parser = name::name)]
    name: Option<String>,
    /// The most versions.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the former page ended.
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let page = Page { limit: args.limit, cursor: args.cursor };
    let page = match &args.name {
        Some(name) => target.client.prompt_versions(name, &page).await?,
        None => target.client.prompts(&page).await?,
    };
    output.show(&page, || table(&page, now_ms()))?;
    if let (Some(next), false) = (&page.next, output.is_json()) {
        output.talk(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

fn table(page: &PromptPage, now_ms: u64) -> String {
    let mut table =
        Table::new(&["prompt", "version", "digest", "labels", "age", "by", "description"]);
    for version in &page.versions {
        table.row(cells(version, now_ms));
    }
    table.render("no prompts; `maestro prompts push` sends those beside the pipeline")
}

fn cells(version: &PromptVersion, now_ms: u64) -> [String; 7] {
    [
        version.name.clone(),
        version.version.to_string(),
        version.digest.short(),
        version.labels.iter().cloned().collect::<Vec<_>>().join(", "),
        short(now_ms.saturating_sub(version.created_at_ms)),
        version.created_by.clone(),
        version.description.clone(),
    ]
}

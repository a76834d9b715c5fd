//! `maestro audit list`.

use maestro_schemas::api::audit::{AuditItem, AuditPage};
use maestro_schemas::id::RunId;

use crate::args::Global;
use crate::client::audit::AuditFilter;
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
  maestro audit list
  maestro audit list --action prompt.label --limit 10
  maestro audit list --run run_01h455vb4pex5vsknk084sn02q --json")]
pub struct Args {
    /// Only of this action, as submit, cancel or prompt.label.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what this actor did.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only what was asked of this run.
    #[arg(long)]
    run: Option<RunId>,
    /// The most entries.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the former page ended.
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let Args { action, actor, run, limit, cursor } = args;
    let page = target.client.audit(&AuditFilter { action, actor, run, limit, cursor }).await?;
    output.show(&page, || table(&page, now_ms()))?;
    if let (Some(next), false) = (&page.next, output.is_json()) {
        output.talk(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

fn table(page: &AuditPage, now_ms: u64) -> String {
    let mut table = Table::new(&["place", "age", "action", "by", "about", "answer", "entry"]);
    for item in &page.entries {
        table.row(cells(item, now_ms));
    }
    table.render("nothing was done in this project")
}

fn cells(AuditItem { entry, leaf }: &AuditItem, now_ms: u64) -> [String; 7] {
    let about = entry.about.clone().or_else(|| entry.run.map(|run| run.to_string()));
    let kind = |name| entry.answer.get(name).and_then(|value| value.as_str());
    [
        leaf.map_or_else(|| "waits".to_owned(), |leaf| leaf.to_string()),
        short(now_ms.saturating_sub(entry.at_ms)),
        entry.action.clone(),
        entry.actor.clone(),
        about.unwrap_or_default(),
        kind("code").or_else(|| kind("kind")).unwrap_or_default().to_owned(),
        entry.id.to_string(),
    ]
}

//! `maestro promotions`: which artifact may go where.

use maestro_schemas::api::promotions::{Promotion, PromotionPage};
use maestro_schemas::digest::Digest;

use super::runs::name::RunName;
use crate::args::Global;
use crate::client::promotions::PromotionFilter;
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
  maestro promotions
  maestro promotions --to prod --limit 10
  maestro promotions --artifact sha256:5b1c… --json")]
pub struct Args {
    /// Only of this artifact.
    #[arg(long, value_name = "DIGEST")]
    artifact: Option<Digest>,
    /// Only to this environment.
    #[arg(long, value_name = "ENVIRONMENT")]
    to: Option<String>,
    /// Only by the evidence of this run.
    #[arg(long)]
    run: Option<RunName>,
    /// The most promotions.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the former page ended.
    #[arg(long)]
    cursor: Option<String>,
}

/// Lists them.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let Args { artifact, to: environment, run, limit, cursor } = args;
    let run = match run {
        Some(name) => Some(name.find(&target.client).await?),
        None => None,
    };
    let filter = PromotionFilter { artifact, environment, run, limit, cursor };
    let page = target.client.promotions(&filter).await?;
    output.show(&page, || table(&page, now_ms()))?;
    if let (Some(next), false) = (&page.next, output.is_json()) {
        output.talk(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

fn table(page: &PromotionPage, now_ms: u64) -> String {
    let mut table = Table::new(&["environment", "age", "by", "artifact", "run", "promotion"]);
    for one in &page.promotions {
        table.row(cells(one, now_ms));
    }
    table.render("nothing was promoted in this project")
}

fn cells(one: &Promotion, now_ms: u64) -> [String; 6] {
    [
        one.environment.clone(),
        short(now_ms.saturating_sub(one.promoted_at_ms)),
        one.promoted_by.clone(),
        one.artifact.to_string(),
        one.run.to_string(),
        one.id.to_string(),
    ]
}

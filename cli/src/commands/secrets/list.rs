//! `maestro secrets list`.

use maestro_schemas::api::secrets::{SecretPage, SecretState, SecretVersion};

use crate::args::Global;
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
  maestro secrets list
  maestro secrets list --project shop --json")]
pub struct Args {
    /// The most versions.
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Where the former page ended.
    #[arg(long)]
    cursor: Option<String>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let page = target.client.secrets(args.limit, args.cursor.as_deref()).await?;
    output.show(&page, || table(&page, now_ms()))?;
    if let (Some(next), false) = (&page.next, output.is_json()) {
        output.talk(&format!("more: --cursor {next}"));
    }
    Ok(Exit::Ok)
}

fn table(page: &SecretPage, now_ms: u64) -> String {
    let mut table = Table::new(&["secret", "version", "state", "age", "by", "key"]);
    for version in &page.versions {
        table.row(cells(version, now_ms));
    }
    table.render("no secrets; `maestro secrets set NAME` sets one")
}

fn cells(version: &SecretVersion, now_ms: u64) -> [String; 6] {
    [
        version.name.to_string(),
        version.version.to_string(),
        state(version, now_ms),
        short(now_ms.saturating_sub(version.created_at_ms)),
        version.created_by.clone(),
        version.kek.clone().unwrap_or_default(),
    ]
}

fn state(version: &SecretVersion, now_ms: u64) -> String {
    match (version.state, version.readable_until_ms) {
        (SecretState::Current, _) => "current".to_owned(),
        (SecretState::Previous, Some(until)) if until > now_ms => {
            format!("previous for {}", short(until - now_ms))
        }
        (SecretState::Previous, _) => "previous, not given out".to_owned(),
        (SecretState::Revoked, _) => "revoked".to_owned(),
    }
}

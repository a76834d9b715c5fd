//! `maestro secrets uses`.

use maestro_schemas::api::secrets::{SecretDeliveries, SecretDelivery};
use maestro_schemas::id::RunId;

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
  maestro secrets uses run_01h455vb4pex5vsknk084sn02q
  maestro secrets uses run_01h455vb4pex5vsknk084sn02q --json")]
pub struct Args {
    /// The run.
    #[arg(value_name = "RUN")]
    run: RunId,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let uses = target.client.secrets_of_run(args.run).await?;
    output.show(&uses, || table(&uses, now_ms()))?;
    Ok(Exit::Ok)
}

fn table(uses: &SecretDeliveries, now_ms: u64) -> String {
    let mut table = Table::new(&["secret", "step", "attempt", "execution", "age"]);
    for one in &uses.deliveries {
        table.row(cells(one, now_ms));
    }
    table.render("the run was given no secrets")
}

fn cells(one: &SecretDelivery, now_ms: u64) -> [String; 5] {
    [
        format!("{}@{}", one.name, one.version),
        one.step.clone(),
        one.attempt.to_string(),
        one.execution.to_string(),
        short(now_ms.saturating_sub(one.delivered_at_ms)),
    ]
}

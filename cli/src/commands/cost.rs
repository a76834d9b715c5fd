//! `maestro cost`: what calls of models cost.

use std::time::Duration;

use maestro_schemas::api::cost::{By, CostReport, CostRow};

use crate::args::Global;
use crate::client::cost::CostFilter;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;
use crate::view::duration::{self, short};
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Every call of a model counts, of executions whose report did not count too. A call that broke off after
it was sent counts at the most that it may have cost; such calls stand under UNSETTLED. Days stand in their
order, and one without calls has no row; other rows, the dearest first. The server keeps calls for 400 days
where it is not told otherwise.

Examples:
  maestro cost
  maestro cost --by step --since 7d
  maestro cost --by day --csv > cost.csv
  maestro cost --run run_01h455vb4pex5vsknk084sn02q --json")]
pub struct Args {
    /// What a row is about.
    #[arg(long, default_value = "model", value_name = "WHAT", value_parser = by)]
    by: By,
    /// Only calls of this run.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Only calls of the last while, as 12h, 7d or 4w; 30d where nothing is said, and all of a run where
    /// one is named.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    since: Option<Duration>,
    /// Comma-separated values with a header.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

fn by(text: &str) -> Result<By, String> {
    By::parse(text).ok_or_else(|| format!("expected one of {}", By::ALL.map(By::as_str).join(", ")))
}

pub(crate) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let ago = |since: Duration| {
        let ago = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        duration::now_ms().saturating_sub(ago)
    };
    let filter = CostFilter { by: args.by, run: args.run, since_ms: args.since.map(ago) };
    let report = target::connect(global).await?.client.cost(&filter).await?;
    if args.csv {
        output.data(csv(&report).trim_end())?;
    } else {
        output.show(&report, || format!("{}\n{}", head(&report), table(&report)))?;
    }
    Ok(Exit::Ok)
}

/// Which calls are summed up. Values for other programs have no such line: there it is `since_ms`.
fn head(report: &CostReport) -> String {
    match report.since_ms {
        0 => "all calls".to_owned(),
        since => format!("calls of the last {}", short(duration::now_ms().saturating_sub(since))),
    }
}

fn table(report: &CostReport) -> String {
    let columns = [
        report.by.as_str(),
        "calls",
        "tasks",
        "in",
        "out",
        "usd",
        "usd/1k",
        "usd/task",
        "unsettled",
        "offline",
    ];
    let mut table = Table::new(&columns);
    for row in &report.rows {
        let mut cells = cells(row);
        if let Some(about) = cells.first_mut() {
            *about = clean(about);
        }
        table.row(cells);
    }
    table.render("no model was called")
}

fn cells(row: &CostRow) -> [String; 10] {
    [
        row.about.clone(),
        row.calls.to_string(),
        row.tasks.to_string(),
        row.input_tokens.to_string(),
        row.output_tokens.to_string(),
        format!("{:.6}", row.usd()),
        format!("{:.6}", row.usd_per_1k_tokens()),
        format!("{:.6}", row.usd_per_task()),
        row.unsettled.to_string(),
        row.offline.to_string(),
    ]
}

/// RFC 4180.
fn csv(report: &CostReport) -> String {
    let header = format!(
        "{},calls,tasks,input_tokens,output_tokens,usd,usd_per_1k_tokens,usd_per_task,unsettled,offline\r\n",
        report.by.as_str()
    );
    let line = |row: &CostRow| {
        let [about, rest @ ..] = cells(row);
        format!("{},{}\r\n", quoted(&about), rest.join(","))
    };
    std::iter::once(header).chain(report.rows.iter().map(line)).collect()
}

/// Quoted where it must be; and what a spreadsheet would take for a formula is kept a text.
fn quoted(text: &str) -> String {
    let text =
        if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(about: &str) -> CostReport {
        let row = CostRow {
            about: about.into(),
            calls: 3,
            tasks: 2,
            input_tokens: 900,
            output_tokens: 100,
            cost_microusd: 1_500,
            unsettled: 1,
            offline: 0,
        };
        CostReport { by: By::Model, since_ms: 0, rows: vec![row] }
    }

    #[test]
    fn a_row_says_what_a_thousand_tokens_and_a_task_cost() {
        let text = table(&report("gpt-4o-mini"));
        assert!(text.contains("0.001500  0.001500  0.000750"), "{text}");
    }

    #[test]
    fn the_head_says_how_far_back_calls_are_summed_up() {
        assert_eq!(head(&report("m")), "all calls");
        let since_ms = duration::now_ms() - 30 * 24 * 3_600 * 1_000 - 5;
        let bounded = CostReport { since_ms, ..report("m") };
        assert_eq!(head(&bounded), "calls of the last 30d 00h");
    }

    #[test]
    fn a_name_with_a_comma_or_a_formula_is_one_text() {
        let text = csv(&report("=a,b"));
        assert!(
            text.ends_with("\"'=a,b\",3,2,900,100,0.001500,0.001500,0.000750,1,0\r\n"),
            "{text}"
        );
    }
}

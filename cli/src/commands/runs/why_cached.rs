//! `maestro runs why-cached`.

use maestro_schemas::api::cached::{CacheAnswer, CacheReport, ChangedPart};
use maestro_schemas::digest::Digest;

use super::name::RunName;
use crate::commands::logs::pick;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;
use crate::view::clean::clean;
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
STEP is a step's id, as test/unit, or test/shard[3] for one item of a fan-out; the first item where
none is named. Of a miss, the key is compared with that of the latest result before it. Values are
never shown: a part that differs is told by its name and its digests.

Examples:
  maestro runs why-cached last build/rust
  maestro runs why-cached last 'test/shard[3]' --json")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
    /// The step's id.
    step: String,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let client = &target.client;
    let run = args.run.find(client).await?;
    let of = pick::step(client, run, &args.step).await?;
    let report = client.why_cached(run, of.step).await?;
    output.show(&report, || text(&report))?;
    Ok(Exit::Ok)
}

fn text(report: &CacheReport) -> String {
    let answer = match report.answer {
        CacheAnswer::Hit => "hit",
        CacheAnswer::Miss => "miss",
        CacheAnswer::NotKept => "not kept",
        CacheAnswer::Open => "open",
    };
    let mut lines = vec![format!("{}: {answer}: {}", clean(&report.step), clean(&report.why))];
    if let (CacheAnswer::Miss, Some(nearest)) = (report.answer, report.nearest) {
        lines.push(format!("compared with {nearest}"));
    }
    if !report.changed.is_empty() {
        let mut table = Table::new(&["what", "before", "now", "from"]);
        report.changed.iter().for_each(|part| table.row(row(part)));
        lines.push(String::new());
        lines.push(table.render(""));
    }
    if report.more > 0 {
        lines.push(format!("and {} more", report.more));
    }
    lines.join("\n")
}

fn row(part: &ChangedPart) -> [String; 4] {
    let from = part.from.clone().unwrap_or_default();
    [part.what.clone(), short(part.before), short(part.now), from]
}

/// As much of a digest as tells it from another.
fn short(digest: Option<Digest>) -> String {
    match digest {
        None => "-".to_owned(),
        Some(digest) => digest.to_string().chars().skip("sha256:".len()).take(12).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_by_name_and_digests() {
        let report = CacheReport {
            step: "s/make".into(),
            answer: CacheAnswer::Miss,
            why: "src/a.c changed".into(),
            key: None,
            nearest: None,
            changed: vec![ChangedPart {
                part: "file:src/a.c".into(),
                what: "src/a.c".into(),
                from: None,
                now: Some(Digest::of(b"now")),
                before: None,
            }],
            more: 0,
        };
        let now = short(Some(Digest::of(b"now")));
        assert_eq!(
            text(&report),
            format!(
                "s/make: miss: src/a.c changed\n\nWHAT     BEFORE  NOW           FROM\nsrc/a.c  -       {now}"
            )
        );
    }
}

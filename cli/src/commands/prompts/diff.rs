//! `maestro prompts diff`.

use serde::Serialize;
use similar::TextDiff;

use super::local::Beside;
use super::name::{self, NEWEST};
use crate::args::Global;
use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without versions it says what a push would change: from the newest version to the file. With one, from
that version to the file.

Examples:
  maestro prompts diff code_review
  maestro prompts diff code_review 2
  maestro prompts diff code_review 2 newest --json")]
pub struct Args {
    /// The prompt.
    #[arg(value_name = "NAME", value_parser = name::name)]
    name: String,
    /// The version to compare from; without it the newest.
    #[arg(value_name = "FROM", value_parser = name::version)]
    from: Option<String>,
    /// The version to compare with; without it the file beside the pipeline.
    #[arg(value_name = "TO", value_parser = name::version)]
    to: Option<String>,
    #[command(flatten)]
    beside: Beside,
}

/// A text and where it comes from.
struct Side {
    name: String,
    text: String,
}

/// What differs.
#[derive(Debug, Serialize)]
struct Report {
    /// Where the first text comes from.
    from: String,
    /// Where the second does.
    to: String,
    /// Whether they are equal.
    same: bool,
    /// The unified diff; empty where they are.
    diff: String,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let local = match &args.to {
        Some(_) => None,
        None => {
            let (file, text) = args.beside.text(&args.name)?;
            Some(Side { name: file.display().to_string(), text })
        }
    };
    let target = target::connect(global).await?;
    let client = &target.client;
    let from = kept(client, &args.name, args.from.as_deref().unwrap_or(NEWEST)).await?;
    let to = match local {
        Some(side) => side,
        None => kept(client, &args.name, args.to.as_deref().unwrap_or(NEWEST)).await?,
    };
    let report = report(from, to);
    if output.is_json() {
        output.json(&report)?;
    } else if report.same {
        output.talk(&format!("{} and {} are the same", report.from, report.to));
    } else {
        output.text(&report.diff)?;
    }
    Ok(Exit::Ok)
}

async fn kept(client: &Client, name: &str, which: &str) -> Result<Side, Error> {
    let found = client.prompt(name, which).await?;
    Ok(Side { name: format!("{name}@{}", found.version.version), text: found.text })
}

fn report(from: Side, to: Side) -> Report {
    let same = from.text == to.text;
    let diff = if same { String::new() } else { unified(&from, &to) };
    Report { from: from.name, to: to.name, same, diff }
}

fn unified(from: &Side, to: &Side) -> String {
    let changes = TextDiff::from_lines(from.text.as_str(), to.text.as_str());
    changes.unified_diff().header(&from.name, &to.name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(name: &str, text: &str) -> Side {
        Side { name: name.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_changed_line_stands_there_twice_between_its_neighbours() {
        let found = report(side("a@1", "one\ntwo\nthree\n"), side("a@2", "one\n2\nthree\n"));
        assert_eq!(found.diff, "--- a@1\n+++ a@2\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
        assert!(!found.same);
    }

    #[test]
    fn equal_texts_have_no_diff() {
        let found = report(side("a@1", "one\n"), side("prompts/a.md", "one\n"));
        assert!(found.same && found.diff.is_empty());
    }
}

//! `maestro tests`: what the tests of a run said.

use maestro_schemas::api::tested::{CaseView, StepTests, TestPage};
use maestro_schemas::tested::TestOutcome;

use crate::args::Global;
use crate::commands::runs::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;
use crate::view::duration::short;
use crate::view::table::Table;

/// The most lines of a message that are shown.
const LINES_MAX: usize = 12;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Steps tell of their tests where they name JUnit reports, as `reports: {junit: out/*.xml}`.

Examples:
  maestro tests last
  maestro tests last --failed
  maestro tests last --json")]
pub struct Args {
    /// Only cases that failed, with what they said.
    #[arg(long)]
    failed: bool,
    /// The run's id, or `last`.
    run: RunName,
}

/// Shows what is asked for.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let run = args.run.find(&target.client).await?;
    let page = target.client.tests(run, args.failed).await?;
    output.show(&page, || text(&page))?;
    Ok(Exit::Ok)
}

fn text(page: &TestPage) -> String {
    let mut blocks = vec![table(&page.steps)];
    let warned = page.steps.iter().flat_map(|step| {
        step.warnings.iter().map(|warning| format!("{}: {}", clean(&step.step), clean(warning)))
    });
    let warned: Vec<String> = warned.collect();
    if !warned.is_empty() {
        blocks.push(warned.join("\n"));
    }
    blocks.extend(bad(&page.cases));
    blocks.join("\n\n")
}

/// The steps with tests, a row each.
pub(crate) fn table(steps: &[StepTests]) -> String {
    let mut table = Table::new(&["step", "passed", "failed", "errors", "skipped", "time"]);
    for step in steps {
        let totals = &step.totals;
        table.row([
            step.step.clone(),
            totals.passed.to_string(),
            totals.failed.to_string(),
            totals.errors.to_string(),
            totals.skipped.to_string(),
            short(totals.duration_ms),
        ]);
    }
    table.render("no step told of tests")
}

/// What went wrong, a block for each case.
pub(crate) fn bad(cases: &[CaseView]) -> impl Iterator<Item = String> + '_ {
    cases.iter().filter(|case| case.case.outcome.is_bad()).map(|view| {
        let case = &view.case;
        let word = if case.outcome == TestOutcome::Error { "error" } else { "failed" };
        let class = if case.class.is_empty() { String::new() } else { format!("{}.", case.class) };
        let file = case.file.as_deref().map(|file| format!(" ({file})")).unwrap_or_default();
        let head = format!("{word} {}{}{file} in {}", class, case.name, view.step);
        let lines = case.message.as_deref().unwrap_or_default().lines().take(LINES_MAX);
        let lines = lines.map(|line| format!("    {}", clean(line)));
        std::iter::once(clean(&head)).chain(lines).collect::<Vec<_>>().join("\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::tested::{TestCase, TestTotals};

    #[test]
    fn steps_are_rows_and_what_failed_is_told_by_name() {
        let page = TestPage {
            steps: vec![StepTests {
                step: "test/unit".into(),
                attempt: 1,
                totals: TestTotals { passed: 2, failed: 1, ..TestTotals::default() },
                warnings: vec!["MAE-7122: b.xml is no JUnit report".into()],
            }],
            cases: vec![CaseView {
                step: "test/unit".into(),
                attempt: 1,
                case: TestCase {
                    suite: "pytest".into(),
                    class: "tests.test_a".into(),
                    name: "test_bad".into(),
                    file: None,
                    outcome: TestOutcome::Failed,
                    duration_us: None,
                    message: Some("assert 1 == 2".into()),
                },
            }],
            next: None,
        };
        let shown = text(&page);
        assert!(shown.contains("test/unit: MAE-7122: b.xml"), "{shown}");
        let last = "failed tests.test_a.test_bad in test/unit\n    assert 1 == 2";
        assert!(shown.ends_with(last), "{shown}");
    }
}

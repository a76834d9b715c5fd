//! `maestro policy test`.

use maestro_policies::trial::{self, Coverage, Report, Trial};

use super::Directory;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;
use crate::view::paint::Paint;
use crate::view::words::count;

/// So many lines that no test came to are named for each file.
const MISSED_SHOWN: usize = 12;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A test is a rule test_... of a file *_test.rego, and passes where it is true. Of one that fails, the
line is shown that did not hold. The exit code is 1 where a test fails or there is none.

Examples:
  maestro policy test policies/global
  maestro policy test policies/global --json")]
pub struct Args {
    #[command(flatten)]
    bundle: Directory,
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let bundle = args.bundle.read()?;
    let report = trial::run(&bundle).map_err(|faults| args.bundle.rejected(faults))?;
    if !output.is_json() && args.bundle.is_shipped() {
        output.talk(
            "no directory is named, so these are the tests of the bundle that comes with Maestro",
        );
    }
    output.show(&report, || text(&report, output.paint()))?;
    let good = report.failed() == 0 && !report.tests.is_empty();
    Ok(if good { Exit::Ok } else { Exit::Error })
}

fn text(report: &Report, paint: Paint) -> String {
    let mut lines: Vec<_> = report.tests.iter().map(|test| of_test(test, paint)).collect();
    lines.extend(report.coverage.iter().map(|file| of_file(file, paint)));
    let failed = report.failed();
    let passed = report.tests.len() - failed;
    lines.push(match (report.tests.len(), failed) {
        (0, _) => paint.bad("there is no test: no rule test_... in a file *_test.rego"),
        (_, 0) => paint.good(&format!("{} passed", count(passed as u64, "test"))),
        _ => paint.bad(&format!("{passed} passed, {failed} failed")),
    });
    lines.join("\n")
}

fn of_test(test: &Trial, paint: Paint) -> String {
    let name = clean(&test.name);
    let Some(failure) = &test.failure else { return format!("{} {name}", paint.good("✓")) };
    let place = format!("{}:{}", clean(&test.file), failure.line);
    let (what, text) = (clean(&failure.what), clean(&failure.text));
    format!("{} {name}\n    {place}: {what}\n    {text}", paint.bad("✗"))
}

fn of_file(file: &Coverage, paint: Paint) -> String {
    let all = file.covered + file.missed.len();
    let name = clean(&file.file);
    if all == 0 {
        return paint.warn(&format!("{name}: no test comes to it"));
    }
    let shown: Vec<_> = file.missed.iter().take(MISSED_SHOWN).map(u32::to_string).collect();
    let more = if file.missed.len() > MISSED_SHOWN { ", …" } else { "" };
    let covered = format!("{name}: {} of {} reached", file.covered, count(all as u64, "line"));
    match shown.as_slice() {
        [] => paint.dim(&covered),
        lines => paint.warn(&format!("{covered}, but not {}{more}", lines.join(", "))),
    }
}

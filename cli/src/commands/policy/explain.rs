//! `maestro policy explain`.

use std::path::PathBuf;
use std::sync::Arc;

use maestro_policies::engine::{Compiled, QUESTION_BYTES_MAX, Question};
use maestro_schemas::verdict::{Hook, Verdict};

use super::{named, read};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;
use crate::view::paint::Paint;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The input is JSON with the fields of the hook, which docs/policies.md lists. The exit code is 5
where it is denied.

Examples:
  maestro policy explain --hook route-choice --input request.json
  maestro policy explain --hook cost --input step.json --bundle policies/global --json")]
pub struct Args {
    /// The hook that is asked: route-choice, cost or prompt-use.
    #[arg(long, value_name = "HOOK", value_parser = hook)]
    hook: Hook,
    /// What it is asked about.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The bundle's directory; without it the bundle that comes with Maestro.
    #[arg(long, value_name = "DIRECTORY")]
    bundle: Option<PathBuf>,
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let question = args.question()?;
    let bundle = read(args.bundle.as_deref())?;
    let compiled = Compiled::of(&bundle)
        .map_err(|faults| Error::Policies { directory: named(args.bundle.as_deref()), faults })?;
    let has = compiled.has(args.hook);
    let verdict = Arc::new(compiled).evaluator().answer(&question);
    if !has {
        output.talk(&format!("no file declares package {}", args.hook.package()));
    }
    output.show(&verdict, || text(&verdict, output.paint()))?;
    Ok(if verdict.allowed { Exit::Ok } else { Exit::PolicyDenied })
}

impl Args {
    fn question(&self) -> Result<Question, Error> {
        let path = &self.input;
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("the input {}", path.display());
                return Err(Error::NotFound { what, hint: None });
            }
            Ok(meta) if meta.len() > 2 * QUESTION_BYTES_MAX as u64 => {
                return Err(Error::usage(
                    format!("{} has {} bytes", path.display(), meta.len()),
                    format!("an input has at most {QUESTION_BYTES_MAX}"),
                ));
            }
            _ => {}
        }
        let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
        Question::read(self.hook, &text).map_err(|source| Error::HookInput {
            path: path.clone(),
            hook: self.hook,
            source,
        })
    }
}

fn hook(text: &str) -> Result<Hook, String> {
    let names = Hook::ALL.map(Hook::name).join(", ");
    let found = Hook::ALL.into_iter().find(|hook| hook.name() == text);
    found.ok_or_else(|| format!("expected one of {names}"))
}

fn text(verdict: &Verdict, paint: Paint) -> String {
    let word = if verdict.allowed { paint.good("allowed") } else { paint.bad("denied") };
    let mut lines = vec![format!("{}: {word}", verdict.hook)];
    for reason in &verdict.reasons {
        lines.push(format!("  {}: {}", paint.bold(&clean(&reason.rule)), clean(&reason.message)));
    }
    lines.push(paint.dim(&format!("bundle {}", verdict.bundle)));
    lines.push(paint.dim(&format!("input  {}", verdict.input)));
    lines.join("\n")
}

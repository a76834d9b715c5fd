//! `maestro validate`.

use serde_json::json;

use crate::compile::{PipelineArgs, Project, built_in};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;
use crate::view::words::count;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
No server is asked: actions that this binary does not serve are warned of.

Examples:
  maestro validate
  maestro validate --pipeline ci/nightly.yaml --input target=arm64 --json")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

pub(crate) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let file = &args.pipeline.pipeline;
    let checked = Project::read(file)
        .and_then(|project| project.compile(&args.pipeline.values(), &built_in()));
    let plan = match checked {
        Ok(compiled) => compiled.plan,
        Err(Error::Pipeline(rejected)) if output.is_json() => {
            output
                .json(&json!({ "valid": false, "file": file, "errors": rejected.diagnostics }))?;
            return Ok(Exit::Error);
        }
        Err(error) => return Err(error),
    };
    if output.is_json() {
        output.json(&json!({
            "valid": true,
            "file": file,
            "name": plan.name,
            "steps": plan.nodes.len(),
            "stages": plan.stages.len(),
            "warnings": plan.warnings,
            "unresolved": plan.unresolved,
        }))?;
        return Ok(Exit::Ok);
    }
    for warning in &plan.warnings {
        output.talk(&format!("{} {}", output.paint_talk().warn("warning:"), clean(warning)));
    }
    let (steps, stages) =
        (count(plan.nodes.len() as u64, "step"), count(plan.stages.len() as u64, "stage"));
    output.data(&format!("{} is valid: {steps} in {stages}", file.display()))?;
    Ok(Exit::Ok)
}

//! `maestro plan`: what a run would do, without doing it.

use maestro_engine::plan::answer::{Known, answers};
use maestro_engine::plan::{Compiled, print};
use maestro_schemas::api::plans::PlanStored;
use serde_json::json;

use crate::args::Global;
use crate::compile::{PipelineArgs, Project, built_in};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The pipeline is compiled here. A server, or a local stack that runs, is asked which results it
has; where neither is there, earlier results are not known, and the plan says so.

Examples:
  maestro plan
  maestro plan --pipeline maestro.yaml --json
  maestro plan --mermaid > plan.mmd")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Print the graph as Mermaid.
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

pub(crate) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let project = Project::read(&args.pipeline.pipeline)?;
    let target = target::find(global).await?;
    let catalogue = match &target {
        Some(target) => target.catalogue().await?,
        None => built_in(),
    };
    let inputs = args.pipeline.values();
    let compiled = match &target {
        Some(target) => project.compile_for(&inputs, &catalogue, &target.client, output).await?,
        None => project.compile(&inputs, &catalogue)?,
    };
    let asked = target.is_some();
    let stored = match target {
        Some(target) => target.client.store_plan(&compiled.plan).await?,
        None => PlanStored {
            digest: compiled.plan.digest()?,
            steps: answers(&compiled.plan, &Known::NOTHING),
        },
    };
    show(&args, &compiled, &stored, asked, output)?;
    Ok(Exit::Ok)
}

fn show(
    args: &Args,
    compiled: &Compiled,
    stored: &PlanStored,
    asked: bool,
    output: Output,
) -> Result<(), Error> {
    let plan = &compiled.plan;
    if output.is_json() {
        return output.json(&json!({
            "digest": stored.digest,
            "asked": asked,
            "steps": stored.steps,
            "labels": compiled.labels,
            "plan": plan,
        }));
    }
    if args.mermaid {
        return output.data(print::mermaid(plan, &stored.steps).trim_end());
    }
    let tree = print::tree(plan, &stored.steps);
    output.data(&tree.lines().map(clean).collect::<Vec<_>>().join("\n"))?;
    output.talk(&format!("\nplan {}", stored.digest));
    if !asked {
        output.talk("no server was asked: which results are there already is not known");
    }
    Ok(())
}

//! `maestro runs rerun`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use maestro_schemas::api::runs::RerunRequest;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use serde_json::Value;

use super::name::{RunName, pair};
use crate::commands::run::{self, How};
use crate::compile::Project;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::submit;
use crate::target::Target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A rerun is a new run that takes over every finished step of the former one but those that it
executes again. --set compiles the pipeline's file anew, with the former inputs and these.

Examples:
  maestro runs rerun last --failed
  maestro runs rerun last --from build/rust
  maestro runs rerun last --from 'test/shard[7]'
  maestro runs rerun last --failed --set seed=42")]
pub struct Args {
    /// The run's id, or `last`.
    run: RunName,
    /// Execute this step again, and all that needs it; may be given several times.
    #[arg(long, value_name = "STEP", required_unless_present = "failed")]
    from: Vec<String>,
    /// Execute again whatever failed, and all that needs it.
    #[arg(long)]
    failed: bool,
    /// Another value for an input; may be given several times.
    #[arg(long = "set", value_name = "K=V", value_parser = pair)]
    sets: Vec<(String, String)>,
    /// The pipeline's file, for --set.
    #[arg(long, short, value_name = "FILE", default_value = "maestro.yaml")]
    pipeline: PathBuf,
    #[command(flatten)]
    how: How,
}

pub(super) async fn perform(args: Args, target: Target, output: Output) -> Result<Exit, Error> {
    let run = args.run.find(&target.client).await?;
    let plan =
        if args.sets.is_empty() { None } else { Some(another(&args, run, &target, output).await?) };
    let key = args.how.idempotency_key.clone().unwrap_or_else(submit::new_key);
    let request = RerunRequest {
        from: args.from.clone(),
        failed: args.failed,
        plan,
        idempotency_key: Some(key),
    };
    let begun = target.client.rerun(run, &request).await?;
    run::watch(begun, &args.how, target, output).await
}

/// The plan of the pipeline's file for the former inputs and those that are set.
async fn another(
    args: &Args,
    run: RunId,
    target: &Target,
    output: Output,
) -> Result<Digest, Error> {
    let mut inputs: BTreeMap<String, Value> = target.client.run(run).await?.inputs;
    inputs.extend(args.sets.iter().map(|(name, text)| (name.clone(), Value::String(text.clone()))));
    let project = Project::read(&args.pipeline)?;
    let catalogue = target.catalogue().await?;
    let compiled = project.compile_for(&inputs, &catalogue, &target.client, output).await?;
    Ok(submit::store(&target.client, &project.snapshot, &compiled, output).await?.digest)
}

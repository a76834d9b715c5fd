//! `maestro run`: submit a pipeline, and watch it to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use maestro_schemas::api::runs::SubmitResponse;
use maestro_schemas::digest::Digest;
use serde_json::json;

use crate::args::Global;
use crate::commands::runs::name::pair;
use crate::compile::{PipelineArgs, Project};
use crate::error::Error;
use crate::exit::Exit;
use crate::follow::Watch;
use crate::output::Output;
use crate::submit::{self, Wish};
use crate::target::{self, Target};
use crate::view::clean::clean;
use crate::view::duration;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with the run: exit code 0 where it succeeded, 3 where it did not. The first Ctrl-C asks
whether to cancel the run or to leave it to itself; the second leaves it.

Examples:
  maestro run --local
  maestro run --input target=arm64 --label branch=main
  maestro run --server https://maestro.example.org --detach --json
  maestro run --idempotency-key nightly-2026-11-20 --wait-timeout 30m")]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Run a plan that the server has already, by its digest.
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["pipeline", "inputs"])]
    plan: Option<Digest>,
    /// A label that lists are filtered by; may be given several times.
    #[arg(long = "label", value_name = "K=V", value_parser = pair)]
    labels: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

/// How a run is begun, and how long it is watched.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// Same key, same request: the same run.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Print the run's id and do not watch.
    #[arg(long, conflicts_with = "wait_timeout")]
    detach: bool,
    /// Leave the run to itself after this time, with exit code 7; as 90s, 10m or 1h.
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    wait_timeout: Option<Duration>,
}

pub(crate) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let (target, plan, mut labels) = match args.plan {
        Some(plan) => (target::connect(global).await?, plan, BTreeMap::new()),
        None => prepare(&args.pipeline, global, output).await?,
    };
    labels.extend(args.labels);
    let wish = Wish { labels, idempotency_key: args.how.idempotency_key.clone() };
    let begun = submit::begin(&target.client, plan, wish).await?;
    watch(begun, &args.how, target, output).await
}

/// Compiles and stores the pipeline. The directory is read while a local stack starts.
async fn prepare(
    args: &PipelineArgs,
    global: &Global,
    output: Output,
) -> Result<(Target, Digest, BTreeMap<String, String>), Error> {
    let file = args.pipeline.clone();
    let reading = tokio::task::spawn_blocking(move || Project::read(&file));
    let project = async {
        let stopped = |error| Error::System {
            action: "read the directory",
            source: std::io::Error::other(error),
        };
        reading.await.map_err(stopped)?
    };
    let (project, target) = tokio::try_join!(project, target::connect(global))?;
    let catalogue = target.catalogue().await?;
    let compiled = project.compile_for(&args.values(), &catalogue, &target.client, output).await?;
    for warning in project.snapshot.warnings.iter().chain(&compiled.plan.warnings) {
        output.talk(&format!("{} {}", output.paint_talk().warn("warning:"), clean(warning)));
    }
    let stored = submit::store(&target.client, &project.snapshot, &compiled, output).await?;
    Ok((target, stored.digest, compiled.labels))
}

/// Tells of the run that has begun, and watches it unless that is not wanted.
pub(crate) async fn watch(
    begun: SubmitResponse,
    how: &How,
    target: Target,
    output: Output,
) -> Result<Exit, Error> {
    if begun.repeated {
        output.talk("the same request was made before; this is its run");
    }
    if how.detach {
        output.show(&begun, || begun.run.to_string())?;
        if !begun.committed {
            output
                .talk("the server has not said yet that the run stands; `maestro runs show` will");
        }
        return Ok(Exit::Ok);
    }
    if output.is_json() {
        output.json_line(
            &json!({ "event": "submitted", "run": begun.run, "repeated": begun.repeated }),
        )?;
    }
    let Target { client, flags, .. } = &target;
    let watch = Watch {
        client: client.clone(),
        run: begun.run,
        output,
        wait: how.wait_timeout,
        flags: flags.clone(),
    };
    watch.to_the_end().await
}

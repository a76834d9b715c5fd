//! `maestro promote`: may this artifact go there?

use maestro_schemas::api::problem::Problem;
use maestro_schemas::api::promotions::{Promotion, PromotionRequest};
use maestro_schemas::digest::Digest;

use super::runs::name::RunName;
use super::verify::{What, what};
use crate::args::Global;
use crate::client;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;
use crate::view::paint::Paint;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The server verifies the artifact's evidence anew and asks its policies. Exit code 0 where the artifact may
go; the leave is then a signed statement that goes with the evidence. Exit code 5 where a policy forbids
it, with all that is missing.

Examples:
  maestro promote dist/app.tar.gz --to staging
  maestro promote sha256:5b1c… --to prod --run last
  maestro promote dist/app.tar.gz --to prod --json")]
pub struct Args {
    /// A file, an image as an OCI layout, or a digest.
    artifact: String,
    /// Where it is to go: an environment that a policy names.
    #[arg(long, value_name = "ENVIRONMENT")]
    to: String,
    /// The run whose evidence is to be verified: one that made the artifact, or took it over. The newest
    /// that made it where none is named.
    #[arg(long)]
    run: Option<RunName>,
}

/// Asks.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let artifact = digest(&args.artifact)?;
    let target = target::connect(global).await?;
    let run = match args.run {
        Some(name) => Some(name.find(&target.client).await?),
        None => None,
    };
    let request = PromotionRequest { artifact, environment: args.to, run };
    match target.client.promote(&request).await {
        Ok(promotion) => {
            output.show(&promotion, || granted(&promotion, output.paint()))?;
            Ok(Exit::Ok)
        }
        Err(client::Error::Refused(problem)) if !problem.reasons.is_empty() => {
            output.show(&problem, || denied(&problem, &request, output.paint()))?;
            Ok(Exit::PolicyDenied)
        }
        Err(error) => Err(error.into()),
    }
}

fn digest(named: &str) -> Result<Digest, Error> {
    match what(Some(named))? {
        What::Artifact(digest) => Ok(digest),
        What::Run(_) | What::Image(_) | What::Everything => Err(Error::usage(
            format!("{named:?} is no artifact"),
            "name a file that is there, or sha256: and 64 digits, as an image's; `--run` names a run",
        )),
    }
}

fn granted(promotion: &Promotion, paint: Paint) -> String {
    let Promotion { id, artifact, environment, run, policy, statement, .. } = promotion;
    let may = paint.good(&format!("may go to {}", clean(environment)));
    format!(
        "{may}  {id}\n  artifact   {artifact}\n  run        {run}\n  policies   {policy}\n  statement  {statement}"
    )
}

fn denied(problem: &Problem, request: &PromotionRequest, paint: Paint) -> String {
    let PromotionRequest { artifact, environment, .. } = request;
    let may = paint.bad(&format!("may not go to {environment}"));
    let mut lines = vec![format!("{may}  {}\n  artifact   {artifact}", problem.code)];
    lines.extend(problem.reasons.iter().map(|reason| {
        let rule = paint.dim(&clean(&reason.rule));
        format!("  missing    {}\n             {rule}", clean(&reason.message))
    }));
    lines.join("\n")
}

//! `maestro artifacts get`.

use std::path::{Path, PathBuf};

use maestro_schemas::artifact::TREE_MEDIA_TYPE;
use maestro_schemas::digest::Digest;
use serde_json::json;

use super::{fetch, tree};
use crate::commands::runs::name::RunName;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target::Target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An artifact is named by its digest, or by run, step and role. A directory needs -o; a file is
written to standard output without it.

Examples:
  maestro artifacts get sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  maestro artifacts get last package/tar dist -o dist.tar.gz
  maestro artifacts get last test/unit log")]
pub struct Args {
    /// A digest; or a run, a step's id and a role.
    #[arg(required = true, num_args = 1..=3, value_names = ["DIGEST|RUN", "STEP", "ROLE"])]
    artifact: Vec<String>,
    /// The file, or the directory, to write; it must not exist yet where it is a directory.
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
}

/// What is to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    digest: Digest,
    is_tree: bool,
}

pub(super) async fn perform(args: Args, target: &Target, output: Output) -> Result<Exit, Error> {
    let wanted = find(&args.artifact, target).await?;
    match (&args.output, wanted.is_tree) {
        (Some(path), true) => {
            let files = tree::write(&target.client, wanted.digest, path).await?;
            told(output, wanted.digest, path, files)?;
        }
        (Some(path), false) => {
            fetch::to_file(&target.client, wanted.digest, path).await?;
            told(output, wanted.digest, path, 1)?;
        }
        (None, false) => fetch::to_stdout(&target.client, wanted.digest, output).await?,
        (None, true) => {
            return Err(Error::usage(
                "the artifact is a directory",
                "say where it is to be written: -o DIRECTORY",
            ));
        }
    }
    Ok(Exit::Ok)
}

fn told(output: Output, digest: Digest, path: &Path, files: usize) -> Result<(), Error> {
    if output.is_json() {
        return output.json(&json!({ "digest": digest, "path": path, "files": files }));
    }
    output.talk(&format!("{} holds {digest}, verified", path.display()));
    Ok(())
}

async fn find(words: &[String], target: &Target) -> Result<Wanted, Error> {
    match words {
        [digest] => {
            let digest = digest.parse().map_err(|error| {
                Error::usage(format!("{error}"), "give a digest, or a run, a step's id and a role")
            })?;
            Ok(Wanted { digest, is_tree: false })
        }
        [run, step, role] => by_role(run, step, role, target).await,
        _ => Err(Error::usage(
            "a role is missing",
            "give a digest, or a run, a step's id and a role",
        )),
    }
}

async fn by_role(run: &str, step: &str, role: &str, target: &Target) -> Result<Wanted, Error> {
    let name: RunName =
        run.parse().map_err(|error| Error::Usage { message: format!("{error}"), hint: None })?;
    let run = name.find(&target.client).await?;
    let list = target.client.artifacts(run).await?;
    let made = list.artifacts.iter().find(|made| made.step == step && made.artifact.role == role);
    let artifact = made.map(|made| &made.artifact).ok_or_else(|| Error::NotFound {
        what: format!("artifact {role:?} of step {step:?}"),
        hint: Some(format!(
            "`maestro artifacts list {run}{}` names those that there are",
            target.flags
        )),
    })?;
    Ok(Wanted { digest: artifact.digest, is_tree: artifact.media_type == TREE_MEDIA_TYPE })
}

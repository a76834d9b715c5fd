//! `maestro prompts label`.

use maestro_schemas::prompt::{LABEL_BYTES_MAX, is_label};
use serde_json::json;

use super::name::{NEWEST, Pick};
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Policies see a version's labels; the bundle that comes with Maestro knows approved and deprecated. It
takes the role approver. Who set or removed a label stays known.

Examples:
  maestro prompts label code_review@3 approved
  maestro prompts label code_review@2 deprecated
  maestro prompts label code_review@3 approved --remove")]
pub struct Args {
    /// The version, as NAME@VERSION or NAME@sha256:…
    #[arg(value_name = "NAME@VERSION")]
    prompt: Pick,
    /// The label.
    #[arg(value_name = "LABEL", value_parser = label)]
    label: String,
    /// Take the label away.
    #[arg(long)]
    remove: bool,
}

fn label(text: &str) -> Result<String, String> {
    match is_label(text) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "expected 1 to {LABEL_BYTES_MAX} lower-case letters, digits, _ and -, as approved"
        )),
    }
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let Args { prompt: Pick { name, which }, label, remove } = args;
    let which = which.filter(|which| which != NEWEST).ok_or_else(|| {
        Error::usage(
            format!("no version of {name} is named"),
            format!(
                "a label is of one version: {name}@3; `maestro prompts list {name}` lists them"
            ),
        )
    })?;
    let target = target::connect(global).await?;
    let client = &target.client;
    let version = client.prompt(&name, &which).await?.version.version;
    client.label_prompt((&name, version), &label, !remove).await?;
    let kept = client.prompt(&name, &version.to_string()).await?.version;
    output.show(&json!(kept), || {
        let word = if remove { "is not" } else { "is" };
        format!("{name}@{version} {word} {label}")
    })?;
    Ok(Exit::Ok)
}

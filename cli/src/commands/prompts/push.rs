//! `maestro prompts push`.

use maestro_schemas::api::prompts::{PromptPush, PromptPushed};

use super::local::{Beside, parse};
use super::name;
use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::clean::clean;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All are checked before the first is sent. A text that the newest version has already makes no version.

Examples:
  maestro prompts push
  maestro prompts push code_review team/summary
  maestro prompts push --pipeline ci/maestro.yaml --json")]
pub struct Args {
    /// The prompts; all of them where none is named.
    #[arg(value_name = "NAME", value_parser = name::name)]
    names: Vec<String>,
    #[command(flatten)]
    beside: Beside,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let names = if args.names.is_empty() {
        let (names, others) = args.beside.names()?;
        for other in others {
            output.talk(&format!("{} {}", output.paint_talk().warn("warning:"), clean(&other)));
        }
        names
    } else {
        args.names
    };
    let mut texts = Vec::new();
    for name in names {
        let (file, text) = args.beside.text(&name)?;
        parse(&file, &text)?;
        texts.push(PromptPush { name, text });
    }
    let client = target::connect(global).await?;
    let mut pushed = Vec::new();
    for text in texts {
        let told = client.client.push_prompt(&text).await?;
        if !output.is_json() {
            output.data(&line(&told))?;
        }
        pushed.push(told);
    }
    if output.is_json() {
        output.json(&pushed)?;
    } else if pushed.is_empty() {
        output.talk("there is no prompt in prompts/");
    }
    Ok(Exit::Ok)
}

fn line(pushed: &PromptPushed) -> String {
    let version = &pushed.version;
    let word = if pushed.is_new { "new" } else { "as it was" };
    format!("{}@{} {word} {}", clean(&version.name), version.version, version.digest)
}

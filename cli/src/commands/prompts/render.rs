//! `maestro prompts render`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use maestro_prompts::{Kind, Prompt, Rendered, render};
use maestro_schemas::digest::Digest;
use serde::Serialize;
use serde_json::{Map, Value};

use super::local::{Beside, Directory, parse};
use super::name::Pick;
use crate::args::Global;
use crate::commands::runs::name::pair;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The most bytes of a file of values.
const VALUES_BYTES_MAX: u64 = 4 << 20;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value of --var is read as its variable's type: a text as it is, anything else as JSON. It goes before
the same name in --vars. Every variable without a default needs a value. file(path) reads below the
pipeline's directory.

Examples:
  maestro prompts render code_review --var 'paths=[\"src/server.ts\"]'
  maestro prompts render code_review --vars values.json --json
  maestro prompts render code_review@3 --var paths=[]")]
pub struct Args {
    /// The prompt: NAME is the file, NAME@VERSION a version of the server's.
    #[arg(value_name = "NAME[@VERSION]")]
    prompt: Pick,
    /// A variable's value; may be given several times.
    #[arg(long = "var", value_name = "K=V", value_parser = pair)]
    values: Vec<(String, String)>,
    /// A file with an object of values, as JSON.
    #[arg(long, value_name = "FILE")]
    vars: Option<PathBuf>,
    #[command(flatten)]
    beside: Beside,
}

/// What a model would be sent.
#[derive(Debug, Serialize)]
struct Report {
    /// The digest of the prompt's text.
    prompt: Digest,
    /// The messages, in their order.
    messages: Vec<Message>,
}

#[derive(Debug, Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let (place, text) = match &args.prompt.which {
        None => args.beside.text(&args.prompt.name)?,
        Some(which) => {
            let target = target::connect(global).await?;
            let client = &target.client;
            let found = client.prompt(&args.prompt.name, which).await?;
            (format!("{}@{}", args.prompt.name, found.version.version).into(), found.text)
        }
    };
    let prompt = parse(&place, &text)?;
    let values = args.values(&prompt, &place)?;
    let files = Arc::new(Directory::open(args.beside.directory())?);
    let rendered = render(&prompt, &values, files)
        .map_err(|fault| Error::Rendering { path: place.clone(), fault })?;
    let report = report(&prompt, rendered);
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.text(&shown(&report))?;
    }
    Ok(Exit::Ok)
}

impl Args {
    /// The values of the file, and over them those of the command line.
    fn values(&self, prompt: &Prompt, place: &Path) -> Result<Map<String, Value>, Error> {
        let mut values = self.vars.as_deref().map_or_else(|| Ok(Map::new()), read)?;
        for (name, text) in &self.values {
            let kind = prompt.head.variables.get(name).map(|variable| variable.kind);
            let value = value(kind, text).map_err(|error| {
                let expected = kind.map_or("any", Kind::as_str);
                Error::usage(
                    format!("--var {name}={text} is no JSON for {}: {error}", place.display()),
                    format!("the variable is of the type {expected}, as its head says"),
                )
            })?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

/// A text where the variable is one, or is not known at all; else JSON.
fn value(kind: Option<Kind>, text: &str) -> Result<Value, serde_json::Error> {
    match kind {
        None | Some(Kind::Text) => Ok(Value::String(text.to_owned())),
        Some(Kind::Any) => {
            Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())))
        }
        Some(_) => serde_json::from_str(text),
    }
}

fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let size = std::fs::metadata(path).map_err(Error::file("read", path))?.len();
    if size > VALUES_BYTES_MAX {
        return Err(Error::usage(
            format!("{} has {size} bytes", path.display()),
            format!("a file of values has at most {VALUES_BYTES_MAX}"),
        ));
    }
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    serde_json::from_str(&text).map_err(|error| {
        Error::usage(
            format!("{} is no object of values: {error}", path.display()),
            "expected JSON as {\"paths\": [\"src/server.ts\"]}",
        )
    })
}

fn report(prompt: &Prompt, rendered: Rendered) -> Report {
    let system = rendered.system.map(|content| Message { role: "system", content });
    let user = Message { role: "user", content: rendered.user };
    Report { prompt: prompt.digest, messages: system.into_iter().chain([user]).collect() }
}

fn shown(report: &Report) -> String {
    let message = |one: &Message| format!("--- {}\n{}", one.role, one.content);
    let mut text = report.messages.iter().map(message).collect::<Vec<_>>().join("\n");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_its_variables_type() {
        let read = |kind, text| value(Some(kind), text).ok();
        assert_eq!(read(Kind::Text, "7"), Some("7".into()));
        assert_eq!(read(Kind::Number, "7"), Some(7.into()));
        assert_eq!(read(Kind::Any, "seven"), Some("seven".into()));
        assert_eq!(read(Kind::List, "[1]"), Some(vec![1].into()));
        assert_eq!(read(Kind::List, "a,b"), None);
    }
}

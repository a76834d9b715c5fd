//! `maestro router render`.

use std::path::{Path, PathBuf};

use maestro_router::config::Config;
use maestro_router::config::yaml::FILE_BYTES_MAX;
use maestro_router::render::{Callers, Options, difference, render};
use serde_json::json;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The proxy passes over the keys `router:` and takes `policies:` for its own, so it cannot be started with
Maestro's file. What is printed has neither; it asks Maestro by its callback, and leaves retries and
fallback to it. The same file always gives the same text.

With --diff nothing is printed where the file is what would be rendered; else the first line that differs,
and the exit code is 1.

Examples:
  maestro router render
  maestro router render --config deploy/router/litellm.yaml > litellm.generated.yaml
  maestro router render --offline
  maestro router render --decided > workers.generated.yaml
  maestro router render --diff litellm.generated.yaml")]
pub(super) struct Args {
    /// Maestro's configuration of the router.
    #[arg(long, value_name = "FILE", default_value = "deploy/router/litellm.yaml")]
    config: PathBuf,
    /// Every model answers with a text that says that it is none; no key is needed.
    #[arg(long)]
    offline: bool,
    /// Only Maestro's workers call the proxy. They have asked the router before, so it neither asks nor
    /// tries another model, and tells what their calls cost.
    #[arg(long)]
    decided: bool,
    /// A file that was rendered before, to be compared with what would be rendered now.
    #[arg(long, value_name = "FILE")]
    diff: Option<PathBuf>,
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let text = read(&args.config, "the router's configuration", CONFIG_HINT)?;
    let config = Config::read(&text, &args.config.display().to_string()).map_err(Error::Router)?;
    let callers = if args.decided { Callers::Workers } else { Callers::Anyone };
    let rendered = render(&config, Options { offline: args.offline, callers });
    match &args.diff {
        Some(file) => compare(file, &rendered, output),
        None if output.is_json() => output.json(&json!({ "text": rendered })).map(|()| Exit::Ok),
        None => output.bytes(rendered.as_bytes()).map(|()| Exit::Ok),
    }
}

/// Where a configuration comes from.
const CONFIG_HINT: &str = "name it by --config; docs/router.md says what stands in one";

fn compare(file: &Path, rendered: &str, output: Output) -> Result<Exit, Error> {
    let found =
        difference(&read(file, "the rendered file", "render it first, without --diff")?, rendered);
    if output.is_json() {
        let line = found.as_ref().map(|(line, ..)| line);
        output.json(&json!({ "same": found.is_none(), "line": line }))?;
    } else if let Some((line, old, new)) = &found {
        let place = file.display();
        output.data(&format!("{place}:{line}\n- {}\n+ {}", clean(old), clean(new)))?;
    }
    Ok(if found.is_none() { Exit::Ok } else { Exit::Error })
}

fn read(path: &Path, what: &str, hint: &str) -> Result<String, Error> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::NotFound {
            what: format!("{what} {}", path.display()),
            hint: Some(hint.to_owned()),
        }),
        Ok(meta) if meta.len() > FILE_BYTES_MAX as u64 => Err(Error::usage(
            format!(
                "{} has {} bytes; expected at most {FILE_BYTES_MAX}",
                path.display(),
                meta.len()
            ),
            hint,
        )),
        _ => std::fs::read_to_string(path).map_err(Error::file("read", path)),
    }
}

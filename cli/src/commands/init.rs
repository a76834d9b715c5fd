//! `maestro init`: a pipeline to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

mod repository;
mod template;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
pub use template::Template;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro init && maestro run --local
  maestro init --template rust
  maestro init --template node services/web
  maestro init --template intelgraph-build demo && cd demo && maestro run --local")]
pub struct Args {
    /// What kind of pipeline.
    #[arg(long, value_enum, default_value_t)]
    template: Template,
    /// Write over a pipeline that is there.
    #[arg(long)]
    force: bool,
    /// The directory; made where it is missing.
    #[arg(default_value = ".")]
    directory: PathBuf,
}

pub(crate) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let files = args.template.files();
    if !args.force {
        refuse_to_replace(&args.directory, files)?;
    }
    for (name, text) in files {
        let path = args.directory.join(name);
        let parent = path.parent().unwrap_or(&args.directory);
        std::fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
        write(&path, text, args.force)?;
    }
    let committed = args.template.needs_commit() && repository::begin(&args.directory, files)?;
    let created: Vec<PathBuf> = files.iter().map(|(name, _)| args.directory.join(name)).collect();
    if output.is_json() {
        output.json(&json!({ "created": created, "committed": committed }))?;
        return Ok(Exit::Ok);
    }
    for path in &created {
        output.talk(&format!("created {}", path.display()));
    }
    if committed {
        output
            .talk("began a git repository and committed them: the pipeline's keys name the commit");
    }
    let inside = if args.directory == Path::new(".") {
        String::new()
    } else {
        format!("cd {} && ", args.directory.display())
    };
    output.talk(&format!("next: {inside}maestro run --local"));
    Ok(Exit::Ok)
}

/// Before anything is written, so that nothing is half there.
fn refuse_to_replace(directory: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    let there = files.iter().map(|(name, _)| directory.join(name)).find(|path| path.exists());
    match there {
        Some(path) => Err(Error::usage(
            format!("{} exists already", path.display()),
            "add --force to write over it",
        )),
        None => Ok(()),
    }
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Error> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).create_new(!force);
    let mut file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Error::usage(
                format!("{} exists already", path.display()),
                "add --force to write over it",
            ));
        }
        Err(error) => return Err(Error::file("write", path)(error)),
    };
    file.write_all(text.as_bytes()).map_err(Error::file("write", path))
}

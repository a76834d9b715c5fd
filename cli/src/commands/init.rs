//! `maestro init`: a pipeline to begin with.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro init && maestro run --local
  maestro init --template rust
  maestro init --template node services/web")]
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

/// A pipeline to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Two shell steps that run anywhere.
    #[default]
    Shell,
    /// Build and test a Rust package with cargo.
    Rust,
    /// Install and test a Node package with npm.
    Node,
    /// Compile and test a Python project with its own unittest.
    Python,
}

impl Template {
    /// The pipeline's text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Shell => include_str!("init/shell.yaml"),
            Self::Rust => include_str!("init/rust.yaml"),
            Self::Node => include_str!("init/node.yaml"),
            Self::Python => include_str!("init/python.yaml"),
        }
    }
}

pub(crate) fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let path = args.directory.join("maestro.yaml");
    std::fs::create_dir_all(&args.directory).map_err(Error::file("make", &args.directory))?;
    write(&path, args.template.text(), args.force)?;
    if output.is_json() {
        output.json(&json!({ "created": path }))?;
    } else {
        output.talk(&format!("created {}", path.display()));
        let inside = if args.directory == Path::new(".") {
            String::new()
        } else {
            format!("cd {} && ", args.directory.display())
        };
        output.talk(&format!("next: {inside}maestro run --local"));
    }
    Ok(Exit::Ok)
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

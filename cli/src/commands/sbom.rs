//! `maestro sbom`.

use std::path::{Path, PathBuf};

use maestro_evidence::sbom::{self, Limits, Sbom, Subject};

use crate::env_vars;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::clean::clean;
use crate::view::words::count;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Read are Cargo.lock, package-lock.json, pnpm-lock.yaml, requirements.txt, poetry.lock, uv.lock,
go.mod with go.sum, and an unpacked image's Debian packages. No server and no registry is asked. The
same files give the same bytes; SOURCE_DATE_EPOCH adds a time.

Examples:
  maestro sbom . --output sbom.cdx.json
  maestro sbom services/api --name api | jq '.components[].purl'")]
pub struct Args {
    /// The directory.
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// The form of the document.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write it to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What is described, where its own files tell another name or none.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// The form of the document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// CycloneDX 1.6 as JSON.
    #[default]
    Json,
}

pub(crate) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let subject = subject(args)?;
    let found = sbom::of_directory(&subject, &args.directory, Limits::default())?;
    if found.sources.is_empty() {
        return Err(sbom::Error::nothing(&args.directory.display().to_string()).into());
    }
    let Format::Json = args.format;
    match &args.output {
        None => output.bytes(&found.json)?,
        Some(file) => {
            std::fs::write(file, &found.json).map_err(Error::file("write", file))?;
            output.talk(&told(file, &found));
        }
    }
    Ok(Exit::Ok)
}

fn subject(args: &Args) -> Result<Subject, Error> {
    // A directory that is not there is refused when it is read.
    let full = args.directory.canonicalize().unwrap_or_default();
    let own = || full.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = args.name.clone().or_else(own).unwrap_or_else(|| "project".into());
    let mut subject = Subject::project(name);
    subject.is_named = args.name.is_some();
    subject.made_at = made_at(std::env::var(env_vars::SOURCE_DATE_EPOCH).ok())?;
    Ok(subject)
}

fn made_at(value: Option<String>) -> Result<Option<u64>, Error> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        Error::usage(
            format!("SOURCE_DATE_EPOCH is {value:?}"),
            "it is a whole number of seconds since 1970",
        )
    })
}

fn told(file: &Path, found: &Sbom) -> String {
    let (components, files) =
        (count(found.components as u64, "component"), count(found.sources.len() as u64, "file"));
    clean(&format!("{} names {components}, from {files}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_whole_number_of_seconds_or_none() {
        assert_eq!(made_at(None).unwrap(), None);
        assert_eq!(made_at(Some(String::new())).unwrap(), None);
        assert_eq!(made_at(Some("86400".into())).unwrap(), Some(86400));
        assert!(made_at(Some("yesterday".into())).is_err());
    }
}

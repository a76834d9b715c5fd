//! The files of prompts beside a pipeline, and what their templates may read.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use maestro_prompts::template::TEXT_BYTES_MAX;
use maestro_prompts::{Files, Prompt};
use maestro_schemas::prompt::{DIRECTORY, path};

use crate::error::Error;
use crate::source::files::{self, Kind};

/// The most bytes of a file that a template puts in.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most prompts that are sent at once.
const PROMPTS_MAX: usize = 1_000;

/// Where the files are.
#[derive(Debug, clap::Args)]
pub(super) struct Beside {
    /// The pipeline; prompts lie beside it, in prompts/.
    #[arg(long, value_name = "FILE", default_value = "maestro.yaml")]
    pipeline: PathBuf,
}

impl Beside {
    /// The pipeline's directory.
    pub(super) fn directory(&self) -> &Path {
        let parent = self.pipeline.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// A prompt's file, and its text.
    pub(super) fn text(&self, name: &str) -> Result<(PathBuf, String), Error> {
        let place = path(name).unwrap_or_default();
        let file = if self.directory() == Path::new(".") {
            PathBuf::from(&place)
        } else {
            self.directory().join(&place)
        };
        let text = read(&file, TEXT_BYTES_MAX as u64).map_err(|problem| match problem {
            Problem::Missing => Error::NotFound {
                what: format!("the prompt {}", file.display()),
                hint: Some(format!("write it, or name a version of the server's: {name}@newest")),
            },
            Problem::Unreadable(source) => {
                Error::File { action: "read", path: file.clone(), source }
            }
            Problem::Unfit(message) => Error::usage(
                format!("{}: {message}", file.display()),
                format!("a prompt is text in UTF-8 of at most {TEXT_BYTES_MAX} bytes"),
            ),
        })?;
        Ok((file, text))
    }

    /// The names of all prompts, without those that are ignored; and files that are none.
    pub(super) fn names(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        let root = self.directory().join(DIRECTORY);
        if !root.is_dir() {
            let what = format!("the directory {}", root.display());
            let hint = Some("a prompt NAME is the file prompts/NAME.md beside the pipeline".into());
            return Err(Error::NotFound { what, hint });
        }
        let listing = files::list(&root)?;
        let (mut names, mut others) = (Vec::new(), listing.warnings);
        for found in listing.files {
            let name = found.path.strip_suffix(".md").filter(|name| path(name).is_some());
            match (name, found.kind) {
                (Some(name), Kind::File { .. }) => names.push(name.to_owned()),
                _ => others.push(format!("{DIRECTORY}/{} is no prompt", found.path)),
            }
        }
        if names.len() > PROMPTS_MAX {
            let message = format!("{} has {} prompts", root.display(), names.len());
            let hint = format!("name those that are to be pushed; at most {PROMPTS_MAX} at once");
            return Err(Error::usage(message, hint));
        }
        Ok((names, others))
    }
}

/// Reads a prompt's text; `place` is named in what is wrong with it.
pub(super) fn parse(place: &Path, text: &str) -> Result<Prompt, Error> {
    Prompt::parse(text).map_err(|fault| Error::Prompt { path: place.to_owned(), fault })
}

/// The files that a template may put in: those in a directory, and nothing outside of it.
pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        let root = root.canonicalize().map_err(Error::file("read", root))?;
        Ok(Self { root })
    }
}

impl Files for Directory {
    fn text(&self, path: &str) -> Result<String, String> {
        let is_below =
            Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        let missing = || format!("there is no file {path} beside the pipeline");
        let place = match self.root.join(path).canonicalize() {
            Ok(place) if is_below && place.starts_with(&self.root) => place,
            _ => return Err(missing()),
        };
        read(&place, FILE_BYTES_MAX).map_err(|problem| match problem {
            Problem::Missing => missing(),
            Problem::Unreadable(error) => format!("{path}: {error}"),
            Problem::Unfit(message) => format!("{path}: {message}"),
        })
    }
}

enum Problem {
    Missing,
    Unreadable(std::io::Error),
    Unfit(String),
}

fn read(place: &Path, bytes_max: u64) -> Result<String, Problem> {
    let of = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::Missing,
        _ => Problem::Unreadable(error),
    };
    // A pipe or a device would never end, or never begin.
    if !fs::metadata(place).map_err(of)?.is_file() {
        return Err(Problem::Unfit("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(place).map_err(of)?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(of)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Problem::Unfit(format!("it has more than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Problem::Unfit("it is no text in UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_reads_files_beside_the_pipeline_and_none_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("project");
        fs::create_dir(&inside).unwrap();
        fs::write(dir.path().join("secret"), "x").unwrap();
        fs::write(inside.join("a.ts"), "let a = 1;").unwrap();
        std::os::unix::fs::symlink("../secret", inside.join("link")).unwrap();
        let files = Directory::open(&inside).unwrap();
        assert_eq!(files.text("a.ts").as_deref(), Ok("let a = 1;"));
        for path in ["../secret", "link", "/etc/passwd", "none", "."] {
            assert!(files.text(path).is_err(), "{path}");
        }
    }
}

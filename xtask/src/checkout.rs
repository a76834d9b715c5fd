//! The checkout that the tools look at: its root, its files, and what programs say about it.

use std::path::PathBuf;
use std::process::Command;

use crate::error::Error;

/// The directory of the workspace's `Cargo.toml`: of the one that cargo runs this for, where two
/// checkouts share a target directory.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_owned()
}

/// Paths below the root, with `/`, of all files that git tracks or would track.
pub fn files() -> Result<Vec<String>, Error> {
    let listed = output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let root = root();
    let mut files: Vec<String> = listed
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// A file's text; what is not UTF-8 is replaced.
pub fn read(path: &str) -> Result<String, Error> {
    let path = root().join(path);
    std::fs::read(&path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|source| Error::File { path, source })
}

/// Writes a file below the root, and the directories above it.
pub fn write(path: &str, bytes: &[u8]) -> Result<(), Error> {
    let path = root().join(path);
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|source| Error::File { path, source })
}

/// What a program writes to standard output, started in the root.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .map_err(|source| Error::Start { program: program.to_owned(), source })?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(Error::Program {
        program: format!("{program} {}", arguments.join(" ")),
        said: String::from_utf8_lossy(&done.stderr).trim().to_owned(),
    })
}

//! A git repository for a template whose pipeline names the commit.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Error;

/// Begins a repository with the template's files as its first commit, unless the directory is in
/// one already; answers whether it did.
pub(super) fn begin(directory: &Path, files: &[(&str, &str)]) -> Result<bool, Error> {
    if git(directory, &["rev-parse", "--is-inside-work-tree"]).is_ok() {
        return Ok(false);
    }
    git(directory, &["init", "--quiet"])?;
    let mut add = vec!["add", "--force", "--"];
    add.extend(files.iter().map(|(name, _)| *name));
    git(directory, &add)?;
    // Whoever has not told git a name yet gets one for this commit.
    let mut commit = Vec::new();
    if git(directory, &["config", "user.email"]).is_err() {
        commit.extend(["-c", "user.name=maestro init", "-c", "user.email=maestro@localhost"]);
    }
    commit.extend(["commit", "--quiet", "--message", "Begin with the template intelgraph-build"]);
    git(directory, &commit)?;
    Ok(true)
}

fn git(directory: &Path, arguments: &[&str]) -> Result<(), Error> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::System { action: "run git", source })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    let hint = "make the repository and the first commit yourself; the files are written";
    Err(Error::usage(format!("git could not do it: {said}"), hint))
}

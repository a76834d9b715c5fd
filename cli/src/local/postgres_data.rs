//! Postgres' data directory: made once, whole or not at all; kept fit for the program that we have.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::child::{self, Child, Plan, Spawn};
use super::run_as::RunAs;
use super::tools::Tool;
use super::{Error, paths};

/// The superuser of our own cluster, and the name of its database.
pub(super) const USER: &str = "maestro";

const INITDB_LIMIT: Duration = Duration::from_secs(120);
const PLAN: Plan =
    &[(Signal::SIGTERM, Duration::from_secs(2)), (Signal::SIGKILL, Duration::from_secs(2))];

/// A data directory and what is needed to make it.
pub(super) struct Data<'a> {
    /// The programs.
    pub(super) tool: &'a Tool,
    /// The directory above it, which also has the log.
    pub(super) dir: &'a Path,
    /// As whom the programs run.
    pub(super) run_as: RunAs,
    /// The superuser's password.
    pub(super) password: &'a str,
}

impl Data<'_> {
    /// The data directory itself.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The log of all programs of Postgres here.
    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// Makes the data if there is none; else sees that this Postgres can read it, as whom it
    /// runs. No server may be running on it.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        match self.made_by()? {
            None => self.make().await,
            Some(major) if major == self.tool.version.major.to_string() => self.own(),
            Some(made_by) => Err(Error::DataVersion {
                dir: self.path(),
                made_by,
                found: self.tool.version.major,
            }),
        }
    }

    /// A Postgres of the single-user mode, which asks for no password, sets ours.
    pub(super) async fn reset_password(&self) -> Result<(), Error> {
        let statement = self.dir.join("statement");
        let text = format!("alter role {USER} password '{}'\n", self.password);
        paths::write_file(&statement, text.as_bytes())?;
        let mut argv: Vec<OsString> =
            vec!["sh".into(), "-c".into(), r#"exec "$@" <"$0""#.into(), statement.clone().into()];
        argv.extend(self.argv("postgres", "KILL"));
        argv.extend(["--single", "-D"].map(OsString::from));
        argv.extend([self.path().into_os_string(), "postgres".into()]);
        let ended = self.run("postgres --single", argv).await;
        fs::remove_file(&statement).map_err(Error::file("remove", &statement))?;
        ended
    }

    /// The words that start one of its programs.
    pub(super) fn argv(&self, program: &str, death: &str) -> Vec<OsString> {
        let mut argv = self.run_as.prefix();
        argv.extend(child::dies_with_us(death));
        argv.push(self.tool.path.join(program).into_os_string());
        argv
    }

    fn own(&self) -> Result<(), Error> {
        self.run_as.own(&self.path())
    }

    /// The major version that made the data; `None` when there is none.
    fn made_by(&self) -> Result<Option<String>, Error> {
        let file = self.path().join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::file("read", &file)(e)),
        }
    }

    /// In a directory beside, which then gets the name: one that was killed half-way is no data.
    /// Nothing is synced to disk here, there is nothing to lose yet; the server does sync.
    async fn make(&self) -> Result<(), Error> {
        let fresh = self.dir.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(Error::file("remove", &fresh))?;
        }
        paths::make_dir(&fresh)?;
        self.run_as.own(&fresh)?;
        let password = self.dir.join("password");
        paths::write_file(&password, self.password.as_bytes())?;
        let ended = self.run("initdb", self.initdb(&fresh, &password)).await;
        fs::remove_file(&password).map_err(Error::file("remove", &password))?;
        ended?;
        fs::rename(&fresh, self.path()).map_err(Error::file("rename", &fresh))
    }

    fn initdb(&self, dir: &Path, password: &Path) -> Vec<OsString> {
        let mut argv = self.argv("initdb", "KILL");
        let words = [
            "--no-sync",
            "--no-instructions",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
        ];
        argv.extend(words.map(OsString::from));
        argv.extend([
            "--username".into(),
            USER.into(),
            "--pgdata".into(),
            dir.into(),
            "--pwfile".into(),
            password.into(),
        ]);
        argv
    }

    async fn run(&self, name: &'static str, argv: Vec<OsString>) -> Result<(), Error> {
        let child = Child::spawn(Spawn {
            name,
            argv,
            log: self.log(),
            variables: Vec::new(),
            stop: PLAN,
            abandon: PLAN,
        })?;
        let status = timeout(INITDB_LIMIT, child.ended())
            .await
            .map_err(|_| child.slow("end", INITDB_LIMIT))?;
        if status.success() { Ok(()) } else { Err(child.ended_early(status)) }
    }
}

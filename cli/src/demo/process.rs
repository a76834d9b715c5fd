//! One part of the system as a process of its own: a coordinator or a worker.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::broken::Broken;
use crate::env_vars;
use crate::error::Error;
use crate::local::{child, log_file};

/// For a process to end in good order.
const TERM_MAX: Duration = Duration::from_secs(15);
/// For a killed one to be gone.
const KILL_MAX: Duration = Duration::from_secs(5);

/// What to start: this very program, with other words.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its name in the story and in the cluster.
    pub name: String,
    /// The command line.
    pub words: Vec<String>,
    /// Variables besides those of this process; its own `MAESTRO_…` and providers' keys are not passed on.
    pub variables: Vec<(&'static str, String)>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A running process. It ends with this value, and with this process.
#[derive(Debug)]
pub struct Process {
    launch: Launch,
    child: Child,
}

impl Process {
    /// Starts it.
    pub fn start(launch: Launch) -> Result<Self, Error> {
        let program = std::env::current_exe()
            .map_err(|source| Error::System { action: "find this program", source })?;
        let output = log_file::open(&launch.log)?;
        let errors = output.try_clone().map_err(Error::file("open", &launch.log))?;
        let mut line = child::dies_with_us("KILL");
        line.push(program.into_os_string());
        let mut words = line.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        let ours = std::env::vars_os().map(|(name, _)| name);
        let ours = ours.filter(|name| name.to_string_lossy().starts_with("MAESTRO_"));
        for name in ours.chain(env_vars::PROVIDER_KEYS.map(Into::into)) {
            command.env_remove(name);
        }
        command
            .args(words)
            .args(&launch.words)
            .envs(launch.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A Ctrl-C in the terminal is for the teller, who ends everything in order.
            .process_group(0)
            .kill_on_drop(true);
        let child = command
            .spawn()
            .map_err(|source| Error::System { action: "start a part of the system", source })?;
        Ok(Self { launch, child })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Fails where it has ended by itself.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.broken(format!("ended by itself ({status})"))),
            Err(source) => Err(Error::System { action: "look at a part of the system", source }),
        }
    }

    /// What there is to say of it, with the end of its log.
    pub fn broken(&self, what: String) -> Error {
        let Launch { name, log, .. } = &self.launch;
        Broken::Process { name: name.clone(), what, log: log.clone(), tail: log_file::tail(log) }
            .into()
    }

    /// Kills it, and what it had started, as if its machine had lost its power.
    pub async fn kill(mut self) -> Result<Launch, Error> {
        let family = self.child.id().map(descendants).unwrap_or_default();
        let killed = timeout(KILL_MAX, self.child.kill()).await;
        for pid in family {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        match killed {
            Ok(Ok(())) => Ok(self.launch),
            _ => Err(self.broken("does not die".to_owned())),
        }
    }

    /// Ends it in good order, by force where that takes too long.
    pub async fn stop(mut self) -> Result<(), Error> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(TERM_MAX, self.child.wait()).await.is_err() {
            self.kill().await?;
        }
        Ok(())
    }
}

/// The processes that one has started, and those that they have: none where there is no `/proc`.
fn descendants(of: u32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> =
        processes().filter_map(|(pid, dir)| Some((pid, parent(&dir)?))).collect();
    let mut family: Vec<i32> = i32::try_from(of).into_iter().collect();
    let mut next = 0;
    while let Some(elder) = family.get(next).copied() {
        let children =
            parents.iter().filter(|(pid, parent)| *parent == elder && !family.contains(pid));
        family.extend(children.map(|(pid, _)| *pid).collect::<Vec<_>>());
        next += 1;
    }
    family.split_off(1.min(family.len()))
}

/// Every process but this one that works in a directory, or below it, or names it: what is left.
pub fn using(dir: &Path) -> Vec<i32> {
    let text = dir.to_string_lossy().into_owned();
    let uses = |(_, proc): &(i32, PathBuf)| {
        let at = std::fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir));
        let line = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        at || String::from_utf8_lossy(&line).contains(&text)
    };
    let own = i32::try_from(std::process::id()).ok();
    processes().filter(uses).map(|(pid, _)| pid).filter(|pid| Some(*pid) != own).collect()
}

fn processes() -> impl Iterator<Item = (i32, PathBuf)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// The second field behind the name, which may hold spaces and brackets.
fn parent(proc: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(proc.join("stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_started_is_found_with_what_that_has_started() {
        let mut outer = std::process::Command::new("sh");
        outer.args(["-c", "sh -c 'sleep 60; :' & echo started; wait"]).stdout(Stdio::piped());
        let mut outer = outer.spawn().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while descendants(outer.id()).len() < 2 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        let family = descendants(outer.id());
        assert!(family.len() >= 2, "{family:?}");
        for pid in family {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        }
        outer.kill().unwrap();
        outer.wait().unwrap();
    }

    #[test]
    fn who_works_in_a_directory_or_names_it_uses_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut inside =
            std::process::Command::new("sleep").arg("60").current_dir(dir.path()).spawn().unwrap();
        let pid = i32::try_from(inside.id()).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while using(dir.path()) != [pid] && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(using(dir.path()), [pid]);
        inside.kill().unwrap();
        inside.wait().unwrap();
        assert!(using(dir.path()).is_empty());
    }
}

//! What a killed predecessor left running in the same directory: found by what it has open, never
//! by a number in a file.
//!
//! A pid file outlives its process and the number may be somebody else's by now. So the process
//! table is read, and a process is ours only if both its name and its directory are. It is
//! looked at again before every signal. Without `/proc` nothing is found, and nothing is ended.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::Error;
use super::child::Plan;

const PERIOD: Duration = Duration::from_millis(5);

/// How a leftover is recognised.
#[derive(Clone, Debug)]
pub struct Mark {
    /// The name that the kernel shows, at most 15 bytes.
    pub name: &'static str,
    /// A directory or file that is ours alone, absolute and without links: the process works in
    /// it, or has it as an argument.
    pub path: PathBuf,
}

/// One process, at one time: the pid together with its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    pid: i32,
    started: u64,
}

/// Ends every process that carries the mark, by the plan, and says how many there were.
///
/// # Errors
/// [`Error::Slow`] when one of them is still there after the last signal's time.
pub async fn end(mark: &Mark, plan: Plan) -> Result<usize, Error> {
    let found = find(mark);
    if found.is_empty() {
        return Ok(0);
    }
    for (signal, limit) in plan {
        signal_all(mark, *signal);
        if gone(mark, *limit).await {
            return Ok(found.len());
        }
    }
    let limit = plan.iter().map(|(_, limit)| *limit).sum();
    Err(Error::Slow { name: mark.name, action: "end", limit, log: mark.path.clone() })
}

/// Whether any process carries the mark.
pub fn any(mark: &Mark) -> bool {
    !find(mark).is_empty()
}

fn signal_all(mark: &Mark, signal: Signal) {
    for seen in find(mark) {
        if stat(seen.pid).is_some_and(|s| s.started == seen.started) {
            let _ = kill(Pid::from_raw(seen.pid), signal);
        }
    }
}

async fn gone(mark: &Mark, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while any(mark) {
        if Instant::now() >= until {
            return false;
        }
        sleep(PERIOD).await;
    }
    true
}

fn find(mark: &Mark) -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| carries(pid, mark))
        .collect()
}

fn carries(pid: i32, mark: &Mark) -> Option<Seen> {
    let stat = stat(pid)?;
    let dead = matches!(stat.state, 'Z' | 'X');
    let ours =
        !dead && stat.name == mark.name && (works_in(pid, &mark.path) || names(pid, &mark.path));
    ours.then_some(Seen { pid, started: stat.started })
}

fn works_in(pid: i32, path: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == path)
}

/// The command line is readable even where another user's working directory is not.
fn names(pid: i32, path: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    line.split(|byte| *byte == 0).any(|word| word == path.as_os_str().as_bytes())
}

struct Stat {
    name: String,
    state: char,
    started: u64,
}

/// Name, state and start of a process: fields 2, 3 and 22 of proc_pid_stat(5).
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let mut fields = tail.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { name: name.to_owned(), state, started })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command};

    const PLAN: Plan = &[(Signal::SIGKILL, Duration::from_secs(5))];

    fn sleeper(dir: &Path) -> Child {
        Command::new("sleep").arg("600").current_dir(dir).spawn().unwrap()
    }

    #[tokio::test]
    async fn only_what_has_both_the_name_and_the_directory_is_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let other = tempfile::tempdir().unwrap();
        let (mut ours, mut stranger) = (sleeper(&path), sleeper(other.path()));
        let wrong_name = Mark { name: "postgres", path: path.clone() };
        assert_eq!(end(&wrong_name, PLAN).await.unwrap(), 0);
        assert_eq!(end(&Mark { name: "sleep", path }, PLAN).await.unwrap(), 1);
        assert!(!ours.wait().unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}

//! The local servers as they are, killed as they are killed.

mod attach;
mod bus;
mod nats;
mod postgres;
mod stack;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::tools::{Search, Tools};

const DEADLINE: Duration = Duration::from_secs(30);

/// A search path on which the system's programs work but no program can ask for a signal at its
/// parent's death, as on a system that has no such tool.
fn path_without_death_signal(dir: &Path) -> std::ffi::OsString {
    let script = "#!/bin/sh\n[ \"$1\" = --pdeathsig ] && exit 1\nPATH=/usr/sbin:/usr/bin:/sbin:/bin exec setpriv \"$@\"\n";
    let write = r#"printf %s "$1" >"$0/setpriv" && chmod 755 "$0/setpriv""#;
    assert!(
        Command::new("sh").args(["-c", write]).arg(dir).arg(script).status().unwrap().success()
    );
    let mut path = dir.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    path
}

async fn tools() -> Tools {
    Search::from_env(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))).find().await.unwrap()
}

/// Waits until a condition holds, at most 30 s.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and has not ended.
fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// This test program again, as a process of its own, running one of its tests only. That test
/// does nothing unless `ROLE_DIR` is set.
fn role(test: &str, dir: &Path) -> Command {
    let module = module_path!().split_once("::").unwrap().1;
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "--test-threads=1"]).arg(format!("{module}::{test}"));
    command.env("ROLE_DIR", dir).stdout(Stdio::null());
    command
}

fn role_dir() -> Option<std::path::PathBuf> {
    std::env::var_os("ROLE_DIR").map(Into::into)
}

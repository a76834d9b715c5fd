//! A directory with a local stack of its own, gone with the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory in which commands are typed.
pub struct Session {
    dir: TempDir,
}

/// What a command that has ended left.
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Session {
    /// A directory with this pipeline.
    pub fn new(pipeline: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("maestro.yaml"), pipeline).unwrap();
        Self { dir }
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn path(&self, path: &str) -> std::path::PathBuf {
        self.dir.path().join(path)
    }

    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.dir.path().join(path)).ok()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_maestro"));
        command.args(args).current_dir(self.dir.path());
        for name in ["MAESTRO_SERVER", "MAESTRO_TOKEN", "MAESTRO_PROJECT"] {
            command.env_remove(name);
        }
        command
    }

    /// Types a command that uses the local stack, and waits for its end.
    pub fn run(&self, args: &[&str]) -> Done {
        let output = self.command(args).arg("--local").stdin(Stdio::null()).output().unwrap();
        Done::of(&output)
    }

    /// The same with `--json`; the document.
    pub fn json(&self, args: &[&str]) -> Value {
        let mut words = args.to_vec();
        words.push("--json");
        let done = self.run(&words);
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    /// Types a command that asks no server.
    pub fn offline(&self, args: &[&str]) -> Done {
        Done::of(&self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// The same with `--json`; the document, whatever it says.
    pub fn offline_json(&self, args: &[&str]) -> Value {
        let mut words = args.to_vec();
        words.push("--json");
        serde_json::from_str(&self.offline(&words).stdout).unwrap()
    }

    /// Types a command and does not wait for its end.
    pub fn spawn(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: command.spawn().unwrap() }
    }

    /// The stack's owner and its servers, while there is one.
    pub fn processes(&self) -> Vec<i32> {
        let Some(text) = self.read(".maestro/state.json") else { return vec![] };
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        ["pid", "nats_pid", "postgres_pid"]
            .iter()
            .filter_map(|name| state[name].as_i64())
            .map(|pid| pid as i32)
            .collect()
    }
}

impl Drop for Session {
    /// Ends the stack and waits until nothing of it is left.
    fn drop(&mut self) {
        let processes = self.processes();
        if let Some(owner) = processes.first() {
            let _ = kill(Pid::from_raw(*owner), Signal::SIGTERM);
        }
        let until = Instant::now() + PATIENCE;
        while processes.iter().any(|pid| lives(*pid)) && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}

/// A command that goes on.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Reads standard error up to a line that holds `text`.
    pub fn says(&mut self, text: &str) -> String {
        let stderr = self.child.stderr.as_mut().unwrap();
        line_with(stderr, text)
    }

    /// Reads standard output up to a line that holds `text`.
    pub fn prints(&mut self, text: &str) -> String {
        let stdout = self.child.stdout.as_mut().unwrap();
        line_with(stdout, text)
    }

    pub fn done(self) -> Done {
        Done::of(&self.child.wait_with_output().unwrap())
    }
}

/// Reads byte by byte, so that nothing behind the line is swallowed.
fn line_with(stream: &mut impl std::io::Read, text: &str) -> String {
    let mut read = BufReader::with_capacity(1, stream);
    let mut all = String::new();
    loop {
        let mut line = String::new();
        assert!(read.read_line(&mut line).unwrap() > 0, "{text:?} was never said, but: {all}");
        if line.contains(text) {
            return line;
        }
        all.push_str(&line);
    }
}

impl Done {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON lines.
    pub fn lines(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits until `what` is so.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

pub fn lives(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !matches!(
        stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()),
        None | Some('Z' | 'X')
    )
}

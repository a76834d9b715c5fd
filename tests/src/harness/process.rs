//! Coordinators and workers as processes of their own, to be stopped and killed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use maestro_cli::local::child::{self, Child, Plan, Spawn};
use maestro_streams::topology::Role;
use nix::sys::signal::Signal;

use super::record::Record;
use super::{Cluster, PASSWORD, PATIENCE};

/// The pool that [`Cluster::spawn_worker`]'s processes serve.
pub const SCRIPTED_POOL: &str = "noop";

const STOP: Plan = &[(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, Duration::from_secs(5))];
const ABANDON: Plan = &[(Signal::SIGKILL, Duration::from_secs(5))];

/// A process of a test. It ends when it is dropped, and when the test's process dies.
pub struct Process {
    /// Its name in rows and heartbeats.
    pub name: String,
    child: Child,
}

/// A worker that says of each execution when it began and ended.
pub struct ScriptedWorker {
    /// The process.
    pub process: Process,
    /// What it said.
    pub record: Record,
}

impl Cluster {
    /// Starts `maestro coordinator`, with an API on a port of its own.
    pub fn spawn_coordinator(&self, name: &str) -> Process {
        self.spawn_coordinator_at(name, "127.0.0.1:0", &[])
    }

    /// The same, with its API at `address`, and with variables of its own.
    pub fn spawn_coordinator_at(&self, name: &str, address: &str, env: &[(&str, &str)]) -> Process {
        let url = self.postgres.url();
        let mut command = vec![maestro(), "coordinator".into(), "--name".into(), name.into()];
        command.extend(["--listen".into(), address.into()]);
        let own = [("MAESTRO_DATABASE_URL", url.as_str()), ("MAESTRO_API_NATS_PASSWORD", PASSWORD)];
        self.spawn(name, &Role::Coordinator, command, &[&own, env].concat())
    }

    /// Starts `maestro worker --pool build`.
    pub fn spawn_build_worker(&self, name: &str, slots: u32) -> Process {
        self.spawn_build_worker_with(name, slots, &[])
    }

    /// The same, with variables of its own.
    pub fn spawn_build_worker_with(&self, name: &str, slots: u32, env: &[(&str, &str)]) -> Process {
        let scratch = self.dir().join("work").join(name);
        let mut command = vec![maestro(), "worker".into(), "--pool".into(), "build".into()];
        command.extend(["--name".into(), name.into(), "--scratch".into(), scratch.into()]);
        command.extend(["--slots".into(), slots.to_string().into()]);
        self.spawn(name, &Role::Worker("build".parse().expect("a name")), command, env)
    }

    /// Starts `maestro worker --pool llm`, which calls models at a gateway by its key.
    pub fn spawn_llm_worker(&self, name: &str, slots: u32, gateway: (&str, &str)) -> Process {
        let scratch = self.dir().join("work").join(name);
        let mut command = vec![maestro(), "worker".into(), "--pool".into(), "llm".into()];
        command.extend(["--name".into(), name.into(), "--scratch".into(), scratch.into()]);
        command.extend(["--slots".into(), slots.to_string().into()]);
        let env = [("MAESTRO_LITELLM_URL", gateway.0), ("MAESTRO_LITELLM_KEY", gateway.1)];
        self.spawn(name, &Role::Worker("llm".parse().expect("a name")), command, &env)
    }

    /// Starts a worker of the pool [`SCRIPTED_POOL`], whose actions a test's plan scripts.
    pub fn spawn_worker(&self, name: &str, slots: u32) -> ScriptedWorker {
        let record = self.dir().join(format!("{name}.record"));
        let role = Role::Worker(SCRIPTED_POOL.parse().expect("a name"));
        let mut command = vec![beside_the_test("scripted-worker")];
        command.extend([name.into(), slots.to_string().into(), record.clone().into()]);
        let process = self.spawn(name, &role, command, &[]);
        ScriptedWorker { process, record: Record::at(record) }
    }

    fn spawn(
        &self,
        name: &str,
        role: &Role,
        command: Vec<OsString>,
        env: &[(&str, &str)],
    ) -> Process {
        let mut argv = child::dies_with_us("KILL");
        argv.push("env".into());
        let (nats, store) = (self.nats.url(), self.dir().join("objects"));
        let own = [
            ("MAESTRO_NATS_URL", nats.as_str()),
            ("MAESTRO_NATS_USER", &role.user()),
            ("MAESTRO_NATS_PASSWORD", PASSWORD),
            ("MAESTRO_STORE", store.to_str().expect("a plain path")),
            ("MAESTRO_LOG", "info"),
        ];
        argv.extend(
            own.iter().chain(env).map(|(name, value)| OsString::from(format!("{name}={value}"))),
        );
        argv.extend(command);
        let log = self.dir().join(format!("{name}.log"));
        let spawn = Spawn {
            name: "a process of the test",
            argv,
            log,
            variables: Vec::new(),
            stop: STOP,
            abandon: ABANDON,
        };
        Process { name: name.to_owned(), child: Child::spawn(spawn).expect("a process") }
    }
}

impl Process {
    /// Ends it as a crash does, and waits until it is gone.
    pub async fn kill(&self) {
        self.child.signal(Signal::SIGKILL);
        self.child.ended().await;
    }

    /// Lets it do nothing more, until it is killed or goes on.
    pub fn freeze(&self) {
        self.child.signal(Signal::SIGSTOP);
    }

    /// Whether it does nothing any more, as the kernel says.
    pub fn is_frozen(&self) -> bool {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.child.pid())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.child.signal(Signal::SIGCONT);
    }

    /// Asks it to end, and waits until it has.
    pub async fn terminate(&self) -> ExitStatus {
        self.child.stop().await.expect("an end in time")
    }

    /// How it ended, once it has.
    pub fn status(&self) -> Option<ExitStatus> {
        self.child.status()
    }
}

impl Drop for Process {
    /// A failing test shows what its processes said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = fs::read_to_string(self.child.log()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(40);
            eprintln!(
                "--- {} ---\n{}",
                self.name,
                lines.get(last..).unwrap_or_default().join("\n")
            );
        }
    }
}

/// The binary `maestro`.
pub fn maestro() -> OsString {
    beside_the_test("maestro")
}

/// Cargo puts programs one directory above the tests' own.
fn beside_the_test(program: &str) -> OsString {
    let test = std::env::current_exe().expect("a path");
    let path = test.ancestors().nth(2).map(Path::to_owned).unwrap_or_default().join(program);
    built(path).into()
}

fn built(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not built; `cargo build --workspace` builds it", path.display());
    path
}

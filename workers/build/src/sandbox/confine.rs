//! The program between worker and step. It is the worker's own program under a hidden word: it takes
//! its limits upon itself, confines itself, and becomes the step. It has one thread and no parent
//! but the worker, and dies with it.
//!
//! What goes wrong before the step is there goes into the file `status`, which no step can reach.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use landlock::RulesetStatus;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stdin, getppid};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};

use super::limits::Rlimits;
use super::{forward, init, landlock as rules, loopback, probe, seccomp};
use crate::environment::Variables;

/// The word after the program's name that makes it the helper.
pub const WORD: &str = "__confine";

/// The file in which a sandbox' mishaps and processes stand.
pub(super) const STATUS: &str = "status";

/// The exit code where no step came of it; `status` says why.
const NOTHING_STARTED: u8 = 125;

/// What the helper does before it becomes the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spec {
    /// The worker's process id.
    pub(super) parent: u32,
    /// Files that it writes `0` to, to be held by control groups.
    pub(super) doors: Vec<PathBuf>,
    pub(super) rlimits: Rlimits,
    /// Where it says what went wrong, and bubblewrap how it went.
    pub(super) status: PathBuf,
    /// The process that holds the network which it enters; only before bubblewrap.
    pub(super) network: Option<u32>,
    pub(super) means: Means,
}

/// How it confines itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Means {
    Plain,
    Landlock {
        read: Vec<PathBuf>,
        write: Vec<PathBuf>,
        offline: bool,
    },
    Bubblewrap {
        program: PathBuf,
        args: Vec<String>,
    },
    /// Bubblewrap around a program that makes sandboxes itself; `start` is what starts it.
    Builder {
        start: Vec<String>,
        args: Vec<String>,
    },
}

/// Why there is no step, as it stands in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mishap {
    /// The sandbox could not be made.
    SetUp(String),
    /// The step's program could not be started, by the system's number of the error.
    Exec(i32),
}

/// Does the helper's part where `words`, the program's name first, are for it. Call it before
/// anything else is done, since what it does holds for one thread. It returns only where the words
/// are not its own, or where no step came of it.
pub fn enter(words: &[OsString]) -> Option<ExitCode> {
    let word = words.get(1)?;
    let rest = words.get(2..).unwrap_or_default();
    if word == WORD {
        Some(confine(rest))
    } else if word == forward::WORD {
        Some(forward::start(rest))
    } else if word == forward::SERVE_WORD {
        Some(forward::serve(rest))
    } else if word == init::WORD {
        Some(init::run(rest))
    } else if word == loopback::WORD {
        Some(loopback::hold())
    } else if word == probe::WORD {
        Some(probe::wait(rest))
    } else {
        None
    }
}

fn confine(words: &[OsString]) -> ExitCode {
    let spec = words.first().and_then(|spec| spec.to_str());
    let spec = spec.and_then(|spec| serde_json::from_str::<Spec>(spec).ok());
    let (Some(spec), Some([program, args @ ..])) = (spec, words.get(1..)) else {
        return ExitCode::from(NOTHING_STARTED);
    };
    let Ok(mut status) = OpenOptions::new().append(true).create(true).open(&spec.status) else {
        return ExitCode::from(NOTHING_STARTED);
    };
    let mishap = match become_step(&spec, &status, (program, args)) {
        Ok(never) => match never {},
        Err(mishap) => mishap,
    };
    if let Ok(line) = serde_json::to_string(&mishap) {
        let _ = writeln!(status, "{line}");
    }
    ExitCode::from(NOTHING_STARTED)
}

/// What a process never returns that has become another program.
enum Never {}

fn become_step(
    spec: &Spec,
    status: &File,
    (program, args): (&OsStr, &[OsString]),
) -> Result<Never, Mishap> {
    let set_up = |doing: &'static str| {
        move |error: io::Error| Mishap::SetUp(format!("cannot {doing}: {error}"))
    };
    let variables = take_variables().map_err(set_up("read the step's variables"))?;
    die_with(spec.parent).map_err(set_up("die with the worker"))?;
    for door in &spec.doors {
        std::fs::write(door, "0").map_err(set_up("join a control group"))?;
    }
    limit(&spec.rlimits).map_err(set_up("limit processes"))?;
    if let Some(holder) = spec.network {
        loopback::enter(holder).map_err(set_up("enter the network of its step"))?;
        // Who enters namespaces may have to ask for it anew.
        die_with(spec.parent).map_err(set_up("die with the worker"))?;
    }
    match &spec.means {
        Means::Plain => {}
        Means::Landlock { read, write, offline } => {
            let found = rules::restrict(read, write, *offline)
                .map_err(|error| set_up("use landlock")(io::Error::other(error)))?;
            if found.ruleset == RulesetStatus::NotEnforced {
                return Err(Mishap::SetUp("landlock is not enforced".into()));
            }
            drop_capabilities().map_err(set_up("drop capabilities"))?;
            // Rules on system calls come last: they hold for what is done here too.
            for filter in seccomp::filters(!offline).map_err(set_up("make a filter"))? {
                seccompiler::apply_filter(&filter)
                    .map_err(|error| set_up("use seccomp")(io::Error::other(error)))?;
            }
        }
        Means::Bubblewrap { program: bubblewrap, args: own } => {
            // In namespaces of its own, a step may open sockets: they lead nowhere.
            let filters = seccomp::filters(true).map_err(set_up("make a filter"))?;
            let handed =
                Handed::of(status, &variables, &filters).map_err(set_up("hand filters over"))?;
            let mut command = Command::new(bubblewrap);
            command.env_clear().args(handed.args()).args(own).arg("--").arg(program).args(args);
            return Err(set_up("start bubblewrap")(command.exec()));
        }
        Means::Builder { start, args: own } => {
            let filters = [seccomp::of_builders().map_err(set_up("make a filter"))?];
            let handed =
                Handed::of(status, &variables, &filters).map_err(set_up("hand filters over"))?;
            let (first, rest) =
                start.split_first().map_or(("bwrap", start.as_slice()), |(f, r)| (f, r));
            let mut command = Command::new(first);
            // They are the worker's own, and what makes the namespace for users needs them.
            command.env_clear().envs(variables).args(rest);
            command.args(handed.args()).args(own).arg("--").arg(program).args(args);
            return Err(set_up("start bubblewrap")(command.exec()));
        }
    }
    let error = Command::new(program).args(args).env_clear().envs(variables).exec();
    Err(Mishap::Exec(error.raw_os_error().unwrap_or_default()))
}

/// The step's variables, from standard input, which is empty from then on. This process has none of them:
/// some have programs load code, which must not be before the step is confined.
fn take_variables() -> io::Result<Variables> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let nothing = File::open("/dev/null")?;
    dup2_stdin(&nothing)?;
    Ok(serde_json::from_str(&text)?)
}

/// The kernel kills this process when the thread that started it is no more.
pub(super) fn die_with(parent: u32) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let is_there = u32::try_from(getppid().as_raw()).is_ok_and(|found| found == parent);
    if is_there { Ok(()) } else { Err(io::Error::other("it is gone")) }
}

/// Gives up what root may do beyond others, some of which leads around Landlock. It took away the way
/// back too: who may gain no privileges gets none of these by starting a program.
fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, none)?)
}

fn limit(rlimits: &Rlimits) -> io::Result<()> {
    let limits = [
        (Resource::RLIMIT_DATA, rlimits.data),
        (Resource::RLIMIT_NPROC, rlimits.processes),
        (Resource::RLIMIT_FSIZE, rlimits.file),
        (Resource::RLIMIT_CORE, Some(0)),
    ];
    for (resource, most) in limits {
        if let Some(most) = most {
            let (_, hard) = getrlimit(resource)?;
            setrlimit(resource, most.min(hard), most.min(hard))?;
        }
    }
    Ok(())
}

/// Open files that bubblewrap takes over: its status, the step's variables, and its filters.
struct Handed {
    status: File,
    variables: File,
    filters: Vec<File>,
}

impl Handed {
    fn of(status: &File, variables: &Variables, filters: &[BpfProgram]) -> io::Result<Self> {
        let status = status.try_clone()?;
        fcntl(&status, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let filters = filters.iter().map(|filter| kept(c"filter", &seccomp::bytes(filter)));
        // Words that no other process reads, as it would those of a command line.
        let mut words = b"--clearenv\0".to_vec();
        for (name, value) in variables {
            words.extend_from_slice(format!("--setenv\0{name}\0{value}\0").as_bytes());
        }
        let variables = kept(c"variables", &words)?;
        Ok(Self { status, variables, filters: filters.collect::<io::Result<_>>()? })
    }

    fn args(&self) -> Vec<String> {
        let mut args = vec!["--json-status-fd".to_owned(), self.status.as_raw_fd().to_string()];
        args.extend(["--args".to_owned(), self.variables.as_raw_fd().to_string()]);
        for filter in &self.filters {
            args.extend(["--add-seccomp-fd".to_owned(), filter.as_raw_fd().to_string()]);
        }
        args
    }
}

/// Bytes in a file of no directory, which a program that is started takes over.
fn kept(name: &CStr, bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(name, MFdFlags::empty())?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// A step's variables as the helper reads them, from its standard input.
pub(crate) fn variables_file(variables: &Variables) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"variables", MFdFlags::MFD_CLOEXEC)?);
    serde_json::to_writer(&mut file, variables)?;
    file.rewind()?;
    Ok(file)
}

/// What a status file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) mishap: Option<Mishap>,
    /// The sandbox' first process, as the host numbers it.
    pub(super) child: Option<i32>,
    /// Bubblewrap saw the step's program start, and end.
    pub(super) ran: bool,
}

/// The most of a status file that is read, in bytes.
const STATUS_BYTES_MAX: usize = 64 << 10;

impl Status {
    pub(super) fn read(path: &Path) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "kebab-case")]
        struct Line {
            child_pid: Option<i32>,
            exit_code: Option<i32>,
        }
        let mut text = std::fs::read_to_string(path).unwrap_or_default();
        text.truncate(text.floor_char_boundary(STATUS_BYTES_MAX));
        let mut status = Self::default();
        for line in text.lines() {
            if let Ok(mishap) = serde_json::from_str(line) {
                status.mishap = Some(mishap);
            } else if let Ok(line) = serde_json::from_str::<Line>(line) {
                status.child = line.child_pid.or(status.child);
                status.ran |= line.exit_code.is_some();
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Status {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Status::read(file.path())
    }

    #[test]
    fn a_status_tells_a_step_that_ran_from_one_that_never_was() {
        let ran = status("{ \"child-pid\": 7, \"mnt-namespace\": 1 }\n{ \"exit-code\": 1 }\n");
        assert_eq!(ran, Status { mishap: None, child: Some(7), ran: true });
        let set_up = status("{\"set-up\":\"cannot\"}\n");
        assert_eq!(set_up.mishap, Some(Mishap::SetUp("cannot".into())));
        assert_eq!(status("{\"exec\":2}\n").mishap, Some(Mishap::Exec(2)));
        assert_eq!(status("nonsense\n"), Status::default());
    }

    #[test]
    fn words_of_other_commands_are_left_alone() {
        assert!(enter(&["maestro".into(), "run".into()]).is_none());
        assert!(enter(&["maestro".into()]).is_none());
    }
}

//! One execution's sandbox: made before its first command, the same for all of them, ended after the
//! last.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maestro_kit::log::LogSink;
use maestro_schemas::plan::Resources;
use maestro_schemas::sandbox::{Applied, Isolation, Level, Limits, Network, Reach, STRICT_POOL};
use maestro_schemas::task::Task;
use tokio::process::Command;
use tokio::time::Instant;

use super::bubblewrap::{self, Net};
use super::confine::{self, Means, Mishap, STATUS, Spec, Status};
use super::descendants;
use super::disk::Taking;
use super::egress::Egress;
use super::forward;
use super::held::Holders;
use super::host::{Host, Place};
use super::init;
use super::limits::{self, Cage};
use super::loopback::Loopback;
use super::view::{ETC, View};
use crate::command::CommandLine;
use crate::error::Error;
use crate::process::Ended;

/// Where the sandboxes of an execution have what is theirs, each below its name.
const SANDBOXES: &str = "sandbox";

/// How long a sandbox whose first process was killed may take to be empty.
const END_MAX: Duration = Duration::from_secs(5);
const END_PERIOD: Duration = Duration::from_millis(1);

/// What a step asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The least; absent means the best that there is.
    pub(crate) isolation: Option<Isolation>,
    pub(crate) network: Network,
    pub(crate) resources: Resources,
    /// Whether services are beside it, which it is to reach.
    pub(crate) serves: bool,
}

impl Wanted {
    /// What a task asks for; one of the strict pool asks for no less, whatever it says.
    pub(crate) fn of(task: &Task) -> Self {
        let strict = (task.pool.as_str() == STRICT_POOL).then_some(Isolation::Strict);
        let isolation = strict.or(task.isolation);
        let default =
            if isolation == Some(Isolation::Strict) { Network::NONE } else { Network::FULL };
        Self {
            isolation,
            network: task.network.clone().unwrap_or(default),
            resources: task.resources.clone(),
            serves: !task.beside.services.is_empty(),
        }
    }

    /// The level that is applied where `best` is the best that works; in words why none will do.
    pub(crate) fn level(&self, best: Level) -> Result<Level, String> {
        let level = match self.isolation {
            Some(Isolation::Plain) => Level::Plain,
            _ => best,
        };
        let least = match &self.network {
            Network::Whole(Reach::Full) => Level::Plain,
            // At landlock nobody could listen: a step without a network can open no socket there.
            Network::Whole(Reach::None) if self.serves => Level::Bubblewrap,
            Network::Whole(Reach::None) => Level::Landlock,
            Network::Hosts(_) => Level::Bubblewrap,
        };
        let least = least.max(self.isolation.map_or(Level::Plain, Isolation::least));
        if level >= least {
            return Ok(level);
        }
        Err(format!(
            "the step asks for isolation {} with network {}{}, which takes {least}, and this worker \
             has {best}",
            self.isolation.map_or("of any kind", Isolation::as_str),
            self.network,
            if self.serves { " and services" } else { "" },
        ))
    }
}

/// One execution's sandbox.
#[derive(Debug)]
pub(crate) struct Confinement {
    helper: PathBuf,
    spec: Spec,
    taking: Taking,
    applied: Applied,
    cage: Option<Cage>,
    egress: Option<Egress>,
}

impl Confinement {
    /// Makes a sandbox for a step that may write what `place` says.
    pub(crate) fn make(
        host: &Host,
        place: Place<'_>,
        wanted: &Wanted,
        log: Option<&LogSink>,
    ) -> Result<Self, Error> {
        let level = wanted.level(host.level()).map_err(Error::Isolation)?;
        let failed = |doing: &'static str| {
            move |error: io::Error| Error::Sandbox(format!("cannot {doing}: {error}"))
        };
        let limits = host.limits(&wanted.resources);
        let cage = Cage::make(&host.holder, &limits).map_err(failed("make control groups"))?;
        let egress = match &wanted.network {
            Network::Hosts(hosts) => {
                let made = Egress::start(hosts, &place.settings.host, log.cloned());
                Some(made.map_err(failed("open a way out"))?)
            }
            Network::Whole(_) => None,
        };
        let own = place.own.join(SANDBOXES).join(place.name);
        std::fs::create_dir_all(&own).map_err(failed("make a directory"))?;
        let spec = Spec {
            parent: std::process::id(),
            doors: cage.as_ref().map(Cage::doors).unwrap_or_default(),
            rlimits: limits::rlimits(&limits, &host.holder, wanted.resources.memory_mib > 0),
            status: own.join(STATUS),
            network: place.loopback.map(Loopback::holder),
            means: means(host, level, &place, (&wanted.network, egress.as_ref()), &own)
                .map_err(failed("write what it needs"))?,
        };
        let applied = Applied {
            level,
            network: wanted.network.clone(),
            limits_by: host.holder.kind(),
            limits,
            tools: host.tools(level),
            hermetic: level == Level::Bubblewrap
                && wanted.network == Network::NONE
                && place.caches.is_empty(),
            caches: place.cache_names.clone(),
            services: Vec::new(),
        };
        let holders = match level {
            Level::Bubblewrap => Holders::Sandboxes(place.own.join(SANDBOXES)),
            Level::Landlock | Level::Plain => {
                Holders::Anybody(place.own.canonicalize().map_err(failed("find a directory"))?)
            }
        };
        let taking = Taking { own: vec![place.own.to_owned()], shared: place.caches, holders };
        Ok(Self { helper: host.helper.clone(), taking, spec, applied, cage, egress })
    }

    /// What is applied.
    pub(crate) const fn applied(&self) -> &Applied {
        &self.applied
    }

    /// What it takes up of a disk, which is bound.
    pub(crate) const fn taking(&self) -> &Taking {
        &self.taking
    }

    /// The most of it, in bytes.
    pub(crate) fn disk_max(&self) -> Option<u64> {
        self.applied.limits.disk_mib.map(|mib| mib << 20)
    }

    /// Whether its processes are in a group of their own that signals do not reach.
    pub(crate) fn is_namespaced(&self) -> bool {
        self.applied.level == Level::Bubblewrap
    }

    /// What starts `line` in it.
    pub(crate) fn command(&self, line: &CommandLine, directory: &Path) -> io::Result<Command> {
        let mut spec = self.spec.clone();
        if let Means::Bubblewrap { args, .. } | Means::Builder { args, .. } = &mut spec.means {
            args.extend(["--chdir".to_owned(), directory.to_string_lossy().into_owned()]);
        }
        let _ = std::fs::remove_file(&spec.status);
        let mut command = Command::new(&self.helper);
        command.arg(confine::WORD).arg(serde_json::to_string(&spec)?);
        if self.is_namespaced() {
            command.args([bubblewrap::HELPER, init::WORD]);
        }
        if self.egress.is_some() {
            command.args([bubblewrap::HELPER, forward::WORD, bubblewrap::EGRESS]);
        }
        command.arg(&line.program).args(&line.args);
        Ok(command)
    }

    /// What the end of a command means: of its own, or that it never began.
    pub(crate) fn verdict(&self, program: &str, ended: Ended, said: &str) -> Result<Ended, Error> {
        let status = Status::read(&self.spec.status);
        let start = |source| Error::Start { program: program.to_owned(), source };
        match status.mishap {
            Some(Mishap::SetUp(problem)) => return Err(Error::Sandbox(problem)),
            Some(Mishap::Exec(errno)) => return Err(start(io::Error::from_raw_os_error(errno))),
            None => {}
        }
        if !self.is_namespaced() || ended.signal().is_some() {
            return Ok(ended);
        }
        if !status.ran {
            // Only bubblewrap itself has said anything, for the step was never there.
            return Err(Error::Sandbox(format!("bubblewrap ended with {ended}: {said}")));
        }
        let last = said.lines().next_back().unwrap_or_default();
        match (ended.exit_code(), last.starts_with(init::NO_PROGRAM)) {
            (Some(127), true) => Err(start(io::Error::from(io::ErrorKind::NotFound))),
            (Some(126), true) => Err(start(io::Error::from(io::ErrorKind::PermissionDenied))),
            _ => Ok(ended),
        }
    }

    /// Whether a process in it was killed for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.cage.as_ref().is_some_and(Cage::ran_out_of_memory)
    }

    /// Kills what a command has left, and waits until it is gone, or for [`END_MAX`].
    pub(crate) async fn settle(&self) {
        let first = self.is_namespaced().then(|| Status::read(&self.spec.status).child).flatten();
        let until = Instant::now() + END_MAX;
        if let Some(id) = first {
            while descendants::is_alive(id) && Instant::now() < until {
                tokio::time::sleep(END_PERIOD).await;
            }
        }
        let Some(cage) = &self.cage else { return };
        while !cage.kill() {
            if Instant::now() > until {
                tracing::error!("processes of a step do not end");
                return;
            }
            tokio::time::sleep(END_PERIOD).await;
        }
    }
}

/// The means of a level.
fn means(
    host: &Host,
    level: Level,
    place: &Place<'_>,
    (network, egress): (&Network, Option<&Egress>),
    own: &Path,
) -> io::Result<Means> {
    let view = || View::of(place.settings, &host.readable, place.places, &place.caches);
    match (level, &host.bubblewrap) {
        (Level::Bubblewrap, Some(tool)) if let Some(seen) = place.builder => {
            bubblewrap::prepare_builder(own)?;
            let args =
                bubblewrap::args_of_builder(&view(), seen, place.places, (own, &host.helper));
            Ok(Means::Builder { start: seen.start(&tool.path), args })
        }
        (Level::Bubblewrap, Some(tool)) => {
            bubblewrap::prepare(own)?;
            let socket = egress.map(Egress::socket);
            let own_net = *network != Network::FULL && place.loopback.is_none();
            let net = Net { own: own_net, exit: socket.as_deref() };
            let args = bubblewrap::args(&view(), place.places, net, (own, &host.helper));
            Ok(Means::Bubblewrap { program: tool.path.clone(), args })
        }
        (Level::Bubblewrap, None) => Err(io::Error::other("bubblewrap is not there any more")),
        (Level::Landlock, _) => {
            let View { mut read, write } = view();
            let etc = ETC.iter().chain(&["passwd", "group"]);
            read.extend(etc.map(|name| Path::new("/etc").join(name)));
            Ok(Means::Landlock { read, write, offline: *network == Network::NONE })
        }
        (Level::Plain, _) => Ok(Means::Plain),
    }
}

/// What is said of a sandbox in the first line of a log.
pub(crate) fn line(applied: &Applied) -> String {
    let Limits { memory_mib, processes, cpu_millis, disk_mib } = applied.limits;
    let limits = [
        memory_mib.map(|mib| format!("{mib} MiB of memory")),
        processes.map(|count| format!("{count} processes")),
        cpu_millis.map(|millis| {
            format!("{} cores", f64::from(u32::try_from(millis).unwrap_or(u32::MAX)) / 1_000.0)
        }),
        disk_mib.map(|mib| format!("{mib} MiB of disk")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    format!(
        "sandbox: {}; network: {}; limits by {}: {}",
        applied.level,
        applied.network,
        applied.limits_by.as_str(),
        limits.join(", ")
    )
}

//! What sandboxes work on this host, found when a worker starts, by starting something in each.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use maestro_schemas::id::ExecutionId;
use maestro_schemas::plan::Resources;
use maestro_schemas::sandbox::{Isolation, Level, Limits, Network, Offered};
use tokio_util::sync::CancellationToken;

use super::bubblewrap::Seen;
use super::confinement::{Confinement, Wanted};
use super::landlock;
use super::limits::{self, Holder};
use super::loopback::Loopback;
use crate::command::CommandLine;
use crate::environment::Places;
use crate::error::Error;
use crate::process::{self, Process, Sink, Tail};
use crate::settings::Settings;

/// How long something that does nothing may take in a sandbox.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The longest reason that is kept, in characters.
const REASON_MAX: usize = 300;

/// Where to look, and how far to go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The program whose `main` calls [`super::confine::enter`].
    pub helper: PathBuf,
    /// Bubblewrap, where there is one.
    pub bubblewrap: Option<PathBuf>,
    /// The strongest that is used; absent means the strongest that works.
    pub most: Option<Level>,
    /// What every step may read besides; absolute paths.
    pub readable: Vec<PathBuf>,
}

/// What works on a host.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) helper: PathBuf,
    pub(super) bubblewrap: Option<Tool>,
    pub(super) holder: Holder,
    pub(super) readable: Vec<PathBuf>,
    level: Level,
    reason: Option<String>,
    memory_mib: Option<u64>,
    own_limits: Limits,
}

/// Bubblewrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) path: PathBuf,
    version: String,
}

/// What one execution has of its own.
pub(crate) struct Place<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) places: &'a Places,
    /// The execution's own directory, which the step does not see as a whole.
    pub(crate) own: &'a Path,
    /// Directories that it shares with other executions.
    pub(crate) caches: Vec<PathBuf>,
    /// Their names.
    pub(crate) cache_names: Vec<String>,
    /// Whose sandbox it is, of those that the execution has.
    pub(crate) name: &'a str,
    /// The network that they share; absent means that each has what it asks for.
    pub(crate) loopback: Option<&'a Loopback>,
    /// What a program sees that makes sandboxes itself; absent for a step's commands.
    pub(crate) builder: Option<&'a Seen>,
}

impl Host {
    /// Looks what works here; in words why nothing does, not even the helper.
    pub async fn probe(search: Search, settings: &Settings) -> Result<Self, String> {
        let mut host = Self {
            helper: search.helper,
            bubblewrap: None,
            holder: limits::detect(),
            readable: search.readable,
            level: Level::Plain,
            reason: None,
            memory_mib: limits::host_memory_mib(),
            own_limits: Limits::default(),
        };
        let mut reasons = Vec::new();
        match &search.bubblewrap {
            Some(path) => match version_of(path).await {
                Ok(version) => host.bubblewrap = Some(Tool { path: path.clone(), version }),
                Err(error) => reasons.push(format!("{} does not run: {error}", path.display())),
            },
            None => reasons.push("there is no bubblewrap".to_owned()),
        }
        let most = search.most.unwrap_or(Level::Bubblewrap);
        for level in [Level::Bubblewrap, Level::Landlock, Level::Plain] {
            if level > most {
                reasons.push(format!("the worker was told to use {most} at most"));
            } else if level < Level::Bubblewrap || host.bubblewrap.is_some() {
                host.level = level;
                match host.try_out(settings).await {
                    Ok(()) => {
                        let is_best = level == Level::Bubblewrap;
                        host.reason = (!is_best).then(|| cut(&reasons.join("; ")));
                        return Ok(host);
                    }
                    Err(error) => reasons.push(format!("{level} does not work: {}", chain(&error))),
                }
            }
        }
        Err(cut(&reasons.join("; ")))
    }

    /// The same, whose steps have these limits where they are given.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.own_limits = limits;
        self
    }

    /// The best that works.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The program between worker and step.
    pub(crate) fn helper(&self) -> &Path {
        &self.helper
    }

    /// What a worker announces.
    pub fn offered(&self) -> Offered {
        Offered { level: self.level, limits_by: self.holder.kind(), reason: self.reason.clone() }
    }

    /// The limits of a step.
    pub(super) fn limits(&self, resources: &Resources) -> Limits {
        let usual = limits::of_step(resources, self.memory_mib);
        let own = self.own_limits;
        Limits {
            memory_mib: own.memory_mib.or(usual.memory_mib),
            processes: own.processes.or(usual.processes),
            cpu_millis: own.cpu_millis.or(usual.cpu_millis),
            disk_mib: own.disk_mib.or(usual.disk_mib),
        }
    }

    /// The means of a level, each with its version.
    pub(super) fn tools(&self, level: Level) -> BTreeMap<String, String> {
        let mut tools = BTreeMap::new();
        match (level, &self.bubblewrap) {
            (Level::Bubblewrap, Some(tool)) => {
                tools.insert("bubblewrap".to_owned(), tool.version.clone());
            }
            (Level::Landlock, _) => {
                tools.insert("landlock".to_owned(), landlock::version());
            }
            _ => return tools,
        }
        tools.insert("seccomp".to_owned(), super::seccomp::VERSION.to_owned());
        tools
    }

    /// Starts something that does nothing in a sandbox of this host's level.
    async fn try_out(&self, settings: &Settings) -> Result<(), Error> {
        let own = std::env::temp_dir().join(format!("maestro-{}", ExecutionId::generate()));
        let tried = self.try_out_in(settings, &own).await;
        if let Err(error) = tokio::fs::remove_dir_all(&own).await
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, "a directory stays behind");
        }
        tried
    }

    async fn try_out_in(&self, settings: &Settings, own: &Path) -> Result<(), Error> {
        let places = Places::make_below(own).await?;
        let wanted = Wanted {
            isolation: Some(match self.level {
                Level::Bubblewrap => Isolation::Strict,
                Level::Landlock => Isolation::Sandboxed,
                Level::Plain => Isolation::Plain,
            }),
            network: if self.level == Level::Plain { Network::FULL } else { Network::NONE },
            resources: Resources::default(),
            serves: false,
        };
        let (caches, cache_names) = (Vec::new(), Vec::new());
        let place = Place {
            settings,
            places: &places,
            own,
            caches,
            cache_names,
            name: "step",
            loopback: None,
            builder: None,
        };
        let confinement = Confinement::make(self, place, &wanted, None)?;
        // Another program than the helper would not say this.
        let line = CommandLine::of(&["printf", "%s-%s", "it", "works"]);
        let variables = crate::environment::of_host(settings, &places);
        let process = Process {
            line: &line,
            directory: &places.workspace,
            variables: &variables,
            confinement: Some(&confinement),
        };
        let mut tail = Tail::default();
        let stop = CancellationToken::new();
        let mut sink = Sink { tail: &mut tail, log: None };
        let ended = tokio::time::timeout(PROBE_MAX, process::run(process, &stop, &mut sink)).await;
        let ended = ended.map_err(|_| Error::Sandbox("it takes too long".into()))??;
        let ended = confinement.verdict(&line.program, ended, &tail.text())?;
        match tail.text().as_str() {
            "it-works" if ended.success() => Ok(()),
            _ => Err(Error::Sandbox(format!("{} ended with {ended}", line.program))),
        }
    }
}

/// The last word of the first line that `--version` says.
async fn version_of(path: &Path) -> io::Result<String> {
    let mut command = tokio::process::Command::new(path);
    command.arg("--version").stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROBE_MAX, command.output()).await;
    let output = output.map_err(|_| io::Error::other("it does not answer"))??;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.lines().next().and_then(|line| line.split_whitespace().last());
    match word.filter(|_| output.status.success()) {
        Some(word) => Ok(word.chars().take(40).collect()),
        None => Err(io::Error::other("it does not say its version")),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn cut(text: &str) -> String {
    text.replace('\n', " ").chars().take(REASON_MAX).collect()
}

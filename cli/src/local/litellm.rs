//! LiteLLM's proxy as a managed child: on loopback, started when a step first calls a model, and
//! again where it has died.
//!
//! It takes seconds to start and some hundred MiB, so a stack that calls no model has none. The
//! directory that it was installed into is no virtual environment: it is handed to Python as its
//! path. Of our environment it gets the
//! providers' keys, the variables that its models name, and how to leave the machine.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use maestro_llm::Endpoint;
use maestro_llm::gateway::{Found, Keeper};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::child::{self, Child, Plan, Spawn};
use super::leftover::{self, Mark};
use super::litellm_config::{Config, Models};
use super::{Error, credentials, paths};
use crate::env_vars;

const NAME: &str = "LiteLLM";
const STOP: Plan =
    &[(Signal::SIGTERM, Duration::from_secs(3)), (Signal::SIGKILL, Duration::from_secs(3))];
const ABANDON: Plan = &[(Signal::SIGKILL, Duration::from_secs(2))];
/// For the proxy to take requests: it reads much, and slow disks read slowly.
const START_MAX: Duration = Duration::from_secs(120);
const PERIOD: Duration = Duration::from_millis(50);
const PING_MAX: Duration = Duration::from_secs(2);
/// Without these it would fetch lists from the network at its start.
const LOCAL: [&str; 5] = [
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS",
    "LITELLM_LOCAL_POLICY_TEMPLATES",
    "LITELLM_LOCAL_BLOG_POSTS",
];

/// Where the proxy is installed and where it keeps its files. Nothing runs until it is asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directories that may hold `.tools/litellm`.
    pub roots: Vec<PathBuf>,
    /// An installation named by the user: this one or none.
    pub named: Option<PathBuf>,
    /// Its configuration and log. Made if it is missing; one proxy at a time.
    pub dir: PathBuf,
    /// The models that it serves; absent means any, by the providers' keys.
    pub models: Option<Models>,
    /// The router's configuration, whose models it serves instead.
    pub router: Option<PathBuf>,
}

impl Options {
    /// `MAESTRO_LITELLM`; else `.tools/litellm` in the project and beside each ancestor of our own
    /// executable.
    pub fn of_project(project: &Path, dir: PathBuf) -> Self {
        let executable = std::env::current_exe().unwrap_or_default();
        let ancestors = executable.ancestors().skip(1);
        Self {
            roots: std::iter::once(project).chain(ancestors).map(Path::to_owned).collect(),
            named: std::env::var_os(env_vars::LITELLM)
                .filter(|dir| !dir.is_empty())
                .map(PathBuf::from),
            dir,
            models: None,
            router: None,
        }
    }
}

/// A proxy that is started when it is first asked for.
#[derive(Clone)]
pub struct Litellm {
    options: Arc<Options>,
    running: Arc<Mutex<Option<Running>>>,
}

struct Running {
    child: Child,
    endpoint: Endpoint,
}

impl fmt::Debug for Litellm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Litellm").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Litellm {
    /// Starts nothing yet.
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options), running: Arc::default() }
    }

    /// Ends the proxy, if one runs.
    pub async fn stop(&self) -> Result<(), Error> {
        match self.running.lock().await.take() {
            Some(running) => running.child.stop().await.map(drop),
            None => Ok(()),
        }
    }

    async fn ready(&self) -> Result<Endpoint, Error> {
        let mut running = self.running.lock().await;
        if let Some(alive) = running.as_ref().filter(|running| running.child.status().is_none()) {
            return Ok(alive.endpoint.clone());
        }
        let started = start(&self.options).await?;
        let endpoint = started.endpoint.clone();
        *running = Some(started);
        Ok(endpoint)
    }
}

impl Keeper for Litellm {
    fn endpoint(&self) -> Found {
        let this = self.clone();
        Box::pin(async move {
            let ready = this.ready().await;
            ready.map_err(|error| match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            })
        })
    }
}

async fn start(options: &Options) -> Result<Running, Error> {
    let site = find(options)?;
    paths::make_dir(&options.dir)?;
    let dir = options.dir.canonicalize().map_err(Error::file("resolve", &options.dir))?;
    let file = dir.join("config.yaml");
    leftover::end(&Mark { name: "python3", path: file.clone() }, ABANDON).await?;
    let keys = given(&env_vars::PROVIDER_KEYS);
    let (models, is_offline) = match (&options.router, &options.models) {
        (Some(file), _) => rendered(file, keys.is_empty())?,
        (None, Some(models)) => (models.clone(), false),
        (None, None) if keys.is_empty() => (Models::Offline, true),
        (None, None) => (Models::Any, false),
    };
    let config = Config { key: format!("sk-{}", credentials::generate()), models };
    paths::write_file(&file, config.text().as_bytes())?;
    let port = free_port()?;
    let mut argv = child::dies_with_us("KILL");
    argv.extend([python()?.into_os_string(), site.join("bin/litellm").into_os_string()]);
    argv.extend(["--config".into(), file.into_os_string()]);
    argv.extend(["--host", "127.0.0.1", "--port"].map(OsString::from));
    argv.push(port.to_string().into());
    let mut variables: Vec<(OsString, OsString)> = keys;
    variables.extend(given(&env_vars::PROXIES));
    variables.extend(named_by_models(&config.models));
    variables.push(("LITELLM_MASTER_KEY".into(), config.key.clone().into()));
    variables.extend(LOCAL.map(|name| (name.into(), "True".into())));
    // Else it takes what stands in a `.env` file of some directory above it.
    variables.push(("LITELLM_MODE".into(), "PRODUCTION".into()));
    variables.extend([
        ("PYTHONPATH".into(), site.into_os_string()),
        ("HOME".into(), dir.clone().into_os_string()),
    ]);
    let log = dir.join("litellm.log");
    let child =
        Child::spawn(Spawn { name: NAME, argv, log, variables, stop: STOP, abandon: ABANDON })?;
    tokio::select! {
        biased;
        ready = timeout(START_MAX, takes_requests(port)) => {
            ready.map_err(|_| child.slow("take requests", START_MAX))?;
        }
        status = child.ended() => return Err(child.ended_early(status)),
    }
    let offline = is_offline.then(|| {
        format!(
            "[offline mock: no model is asked, because none of {} is set where the local stack was started]",
            env_vars::PROVIDER_KEYS.join(", ")
        )
    });
    let url = format!("http://127.0.0.1:{port}");
    Ok(Running { child, endpoint: Endpoint { url, key: Some(config.key), offline } })
}

/// The models of the router's configuration, for callers that have asked the router before, and whether
/// the proxy answers for all of them: no provider's key is there, no variable that a model names is set,
/// and no model has an address of its own.
fn rendered(file: &Path, has_no_key: bool) -> Result<(Models, bool), Error> {
    let text = std::fs::read_to_string(file).map_err(Error::file("read", file))?;
    let config = maestro_router::config::Config::read(&text, &file.display().to_string());
    let config = config.map_err(|faults| Error::Router { faults: faults.to_string() })?;
    let text = |offline| {
        use maestro_router::render::{Callers, Options};
        let options = Options { offline, callers: Callers::WorkersOfItsOwn };
        Models::Rendered(maestro_router::render::render(&config, options))
    };
    let online = text(false);
    let has_address = config.deployments.iter().any(|one| one.params.api_base.is_some());
    if !has_no_key || has_address || !named_by_models(&online).is_empty() {
        return Ok((online, false));
    }
    Ok((text(true), true))
}

/// The installation that is used.
///
/// # Errors
/// [`Error::ToolMissing`], with a hint how to get it.
pub fn find(options: &Options) -> Result<PathBuf, Error> {
    let found = options.roots.iter().map(|root| root.join(".tools/litellm"));
    let sites: Vec<PathBuf> =
        options.named.clone().map_or_else(|| found.collect(), |dir| vec![dir]);
    let site = sites.iter().find(|site| site.join("bin/litellm").is_file());
    site.map(|site| site.canonicalize().map_err(Error::file("resolve", site))).unwrap_or_else(
        || {
            let looked: Vec<_> = sites.iter().map(|site| site.to_string_lossy()).collect();
            Err(Error::ToolMissing { tool: NAME, looked: looked.join(", ") })
        },
    )
}

/// The interpreter itself: what stands in the search path may be a script that finds it by
/// variables that the proxy does not get.
fn python() -> Result<PathBuf, Error> {
    let asked = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let said = asked.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let path = said.and_then(|bytes| String::from_utf8(bytes).ok());
    let looked = || "the search path".to_owned();
    path.map(|path| PathBuf::from(path.trim()))
        .filter(|path| path.is_absolute())
        .ok_or_else(|| Error::ToolMissing { tool: "python3", looked: looked() })
}

fn given(names: &[&str]) -> Vec<(OsString, OsString)> {
    let value = |name: &&str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
        Some((OsString::from(name), value))
    };
    names.iter().filter_map(value).collect()
}

/// A rendered file names the variables that hold its servers' addresses and keys.
fn named_by_models(models: &Models) -> Vec<(OsString, OsString)> {
    let Models::Rendered(text) = models else { return Vec::new() };
    let names = text.split("os.environ/").skip(1).map(|rest| {
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    });
    given(&names.collect::<Vec<_>>())
}

/// The proxy cannot choose its port by itself. Between this and its start another process may take
/// it; then the proxy ends, and the step that asked is tried again.
fn free_port() -> Result<u16, Error> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0");
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(Error::file("find a port on", Path::new("127.0.0.1")))
}

/// Waits, without end of its own, until the proxy says that it lives.
async fn takes_requests(port: u16) {
    while !matches!(timeout(PING_MAX, lives(port)).await, Ok(Ok(true))) {
        sleep(PERIOD).await;
    }
}

async fn lives(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream
        .write_all(
            b"GET /health/liveliness HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        )
        .await?;
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

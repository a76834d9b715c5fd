//! A pool whose steps run in a sandbox of a level, and a place for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use maestro_build::sandbox::host::Search;
use maestro_build::{BuildPool, Host, Settings};
use maestro_kit::account::Account;
use maestro_kit::action::{Execution, Handler};
use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::ledger::Ledger;
use maestro_kit::log::LogSink;
use maestro_kit::redact::Redactor;
use maestro_kit::router::RouterClient;
use maestro_kit::scratch::Scratch;
use maestro_kit::secrets::Secrets;
use maestro_schemas::action::Effect;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::outcome::{Failure, Outcome};
use maestro_schemas::plan::{Resources, Workspace};
use maestro_schemas::sandbox::{Applied, Isolation, Level, Limits, Network, SANDBOX_ROLE};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_maestro-confine");

/// Every level, the strongest first.
pub(crate) const LEVELS: [Level; 3] = [Level::Bubblewrap, Level::Landlock, Level::Plain];

/// Bubblewrap, as the local stack finds it.
pub(crate) fn bubblewrap() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("MAESTRO_BWRAP").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("bwrap"));
    let places = named.into_iter().chain([root.join(".tools/bin/bwrap")]).chain(found);
    places.into_iter().find(|file| file.is_file())
}

pub(crate) async fn host(most: Level) -> Host {
    let search = Search {
        helper: HELPER.into(),
        bubblewrap: bubblewrap(),
        most: Some(most),
        readable: Vec::new(),
    };
    let host = Host::probe(search, &settings()).await.expect("a host");
    let offered = host.offered();
    assert_eq!(
        offered.level, most,
        "scripts/get-tools.sh gets bubblewrap; landlock needs Linux 6.2: {offered:?}"
    );
    host
}

fn settings() -> Settings {
    Settings::from_variables(std::env::vars())
}

pub(crate) struct Bench {
    pub(crate) directory: TempDir,
    pool: BuildPool,
    pub(crate) store: ArtifactStore,
    log: Mutex<Option<LogSink>>,
    pub(crate) stop: CancellationToken,
}

impl Bench {
    /// At the best level up to `most`, which must work here.
    pub(crate) async fn new(most: Level) -> Self {
        Self::of(host(most).await)
    }

    pub(crate) async fn limited(most: Level, limits: Limits) -> Self {
        Self::of(host(most).await.with_limits(limits))
    }

    pub(crate) fn of(host: Host) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            pool: BuildPool::new(settings().with_caches(directory.path().join("caches")))
                .within(host),
            store: ArtifactStore::local(directory.path().join("store")).expect("a store"),
            directory,
            log: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn execution(&self, task: Task) -> Execution {
        let id = ExecutionId::generate();
        let log = LogSink::kept(self.store.clone(), Redactor::default());
        *self.log.lock().expect("the log") = Some(log.clone());
        let ledger = Ledger::default();
        Execution {
            account: Account::alone(&task, id, ledger.clone()),
            task: Arc::new(task),
            id,
            stop: self.stop.clone(),
            delivered: 1,
            secrets: Secrets::new(),
            redactor: Redactor::default(),
            log,
            store: self.store.clone(),
            ledger,
            router: RouterClient::nobody(),
            beside: tokio_util::task::TaskTracker::new(),
            scratch: Scratch::below(&self.path("scratch"), id),
        }
    }

    pub(crate) async fn carry_out(&self, task: Task) -> Outcome {
        self.pool.carry_out(self.execution(task)).await
    }

    pub(crate) fn begin(&self, task: Task) -> tokio::task::JoinHandle<Outcome> {
        tokio::spawn(self.pool.carry_out(self.execution(task)))
    }

    pub(crate) async fn script(&self, script: &str) -> Outcome {
        self.carry_out(shell(script)).await
    }

    /// Runs a script that must end well, and returns what it said.
    pub(crate) async fn says(&self, task: Task) -> String {
        let outcome = self.carry_out(task).await;
        let log = self.log().await;
        assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}\n{log}");
        let (_, said) = log.split_once('\n').expect("a first line");
        said.to_owned()
    }

    /// The whole log of the last execution.
    pub(crate) async fn log(&self) -> String {
        let log = self.log.lock().expect("the log").take().expect("an execution");
        let Some(kept) = log.finish().await else { return String::new() };
        let bytes = self.store.get(kept.digest, 1 << 20).await.expect("a log");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    pub(crate) async fn applied(&self, outcome: &Outcome) -> Applied {
        let is_it = |artifact: &&Artifact| artifact.role == SANDBOX_ROLE;
        let artifact = outcome.artifacts().iter().find(is_it).expect("what it was kept in");
        let bytes = self.store.get(artifact.digest, 1 << 16).await.expect("an object");
        serde_json::from_slice(&bytes).expect("what was applied")
    }
}

pub(crate) fn shell(script: &str) -> Task {
    Task {
        run: RunId::generate(),
        step: StepAddress::node(0),
        token: AttemptToken { number: 1, epoch: 1 },
        shard: 0,
        project: "default".parse().expect("a name"),
        pipeline: None,
        pool: "build".parse().expect("a name"),
        name: "build/step".into(),
        action: "shell".into(),
        with: json!({ "script": script }).to_string().into_bytes(),
        secrets: Default::default(),
        env: Default::default(),
        effect: Effect::Idempotent,
        idempotency_key: "run:step".into(),
        timeout_ms: 60_000,
        resources: Resources::default(),
        isolation: None,
        network: None,
        workspace: Workspace::Empty,
        inputs: Vec::new(),
        outputs: Vec::new(),
        beside: Default::default(),
        cap_microusd: None,
        traceparent: None,
    }
}

pub(crate) fn strict(script: &str) -> Task {
    Task { isolation: Some(Isolation::Strict), ..shell(script) }
}

pub(crate) fn offline(script: &str) -> Task {
    Task { network: Some(Network::NONE), ..shell(script) }
}

pub(crate) fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure, .. } => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

/// Waits until `holds`, for at most ten seconds.
pub(crate) async fn eventually(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come to hold in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Processes of this machine with `mark` in their command line.
pub(crate) fn marked(mark: &str) -> usize {
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// Whether an execution has made a file, below its own directory.
pub(crate) fn has_file(scratch: &Path, name: &str) -> bool {
    let executions = std::fs::read_dir(scratch).into_iter().flatten().flatten();
    executions.into_iter().any(|execution| execution.path().join(name).exists())
}

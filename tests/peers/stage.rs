//! One proxy and one provider for all tests of this process, and executions of the llm pool.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use maestro_cli::local::litellm::{Litellm, Options};
use maestro_cli::local::litellm_config::Models;
use maestro_evidence::store::ArtifactStore;
use maestro_kit::account::Account;
use maestro_kit::action::{Execution, Handler as _};
use maestro_kit::ledger::Ledger;
use maestro_kit::log::LogSink;
use maestro_kit::redact::Redactor;
use maestro_kit::router::RouterClient;
use maestro_kit::scratch::Scratch;
use maestro_kit::secrets::Secrets;
use maestro_llm::gateway::Keeper as _;
use maestro_llm::{Gateway, LlmPool, Places};
use maestro_schemas::action::Effect;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::outcome::{Failure, Outcome, Outputs};
use maestro_schemas::plan::{Resources, Workspace};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::provider::{Provider, Turn};

/// A model of its own for each test.
const MODELS: [&str; 24] = [
    "patient",
    "narrow",
    "wide",
    "gated",
    "costly",
    "thrifty",
    "uncounted",
    "failing",
    "others",
    "steady",
    "inhouse",
    "greets",
    "repairs",
    "unfit",
    "capped",
    "cut-to-cap",
    "redelivered",
    "stopped",
    "refused",
    "broken",
    "calls",
    "vectors",
    "kept-vectors",
    "reviews",
];

/// Outlives every test's own.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
static PEERS: OnceCell<Peers> = OnceCell::const_new();

struct Peers {
    proxy: Litellm,
    provider: Provider,
}

async fn peers() -> &'static Peers {
    PEERS.get_or_init(|| async { RUNTIME.spawn(start()).await.expect("the peers") }).await
}

async fn start() -> Peers {
    let provider = Provider::start().await;
    let listed = MODELS.iter().map(|model| provider.deployment(model)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
    let options =
        Options::of_project(root, PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers"));
    let proxy = Litellm::new(Options { models: Some(Models::Listed(listed)), ..options });
    proxy.endpoint().await.unwrap_or_else(|error| panic!("{error}"));
    Peers { proxy, provider }
}

/// The proxy and the provider that all tests share.
pub(crate) async fn shared() -> (&'static Litellm, &'static Provider) {
    let peers = peers().await;
    (&peers.proxy, &peers.provider)
}

/// What a test works with: a store and a pool of its own, and mostly the shared peers.
pub(crate) struct Stage<P = &'static Provider> {
    pub(crate) store: ArtifactStore,
    pub(crate) stop: CancellationToken,
    pub(crate) provider: P,
    pool: LlmPool,
    dir: TempDir,
}

/// How an execution ended, and what it spent.
pub(crate) struct Ended {
    pub(crate) id: ExecutionId,
    pub(crate) outcome: Outcome,
    pub(crate) ledger: Ledger,
    pub(crate) log: String,
}

impl Stage {
    pub(crate) async fn new(model: &str, turns: impl IntoIterator<Item = Turn>) -> Self {
        assert!(MODELS.contains(&model), "name {model} in MODELS");
        let peers = peers().await;
        peers.provider.script(model, turns);
        Self::with(Gateway::Kept(Arc::new(peers.proxy.clone())), &peers.provider)
    }
}

impl Stage<()> {
    /// Without the shared peers: the pool calls these places.
    pub(crate) fn of(places: impl Into<Places>) -> Self {
        Self::with(places, ())
    }
}

impl<P> Stage<P> {
    fn with(places: impl Into<Places>, provider: P) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self {
            store: ArtifactStore::local(dir.path().join("store")).expect("a store"),
            stop: CancellationToken::new(),
            provider,
            pool: LlmPool::new(places).expect("a pool"),
            dir,
        }
    }

    /// Carries a task out that comes for the first time; the same one again was published twice.
    pub(crate) async fn carry_out(&self, task: &Task) -> Ended {
        self.carry_out_delivery(task, 1).await
    }

    /// Carries a task out that was delivered before.
    pub(crate) async fn carry_out_again(&self, task: &Task) -> Ended {
        self.carry_out_delivery(task, 2).await
    }

    async fn carry_out_delivery(&self, task: &Task, delivered: u32) -> Ended {
        let id = ExecutionId::generate();
        let (log, ledger) =
            (LogSink::kept(self.store.clone(), Redactor::default()), Ledger::default());
        let account = Account::alone(task, id, ledger.clone());
        let beside = TaskTracker::new();
        let execution = Execution {
            task: Arc::new(task.clone()),
            id,
            delivered,
            stop: self.stop.clone(),
            secrets: Secrets::new(),
            redactor: Redactor::default(),
            log: log.clone(),
            store: self.store.clone(),
            ledger: ledger.clone(),
            account,
            router: RouterClient::nobody(),
            scratch: Scratch::below(self.dir.path(), id),
            beside: beside.clone(),
        };
        let outcome = self.pool.carry_out(execution).await;
        beside.close();
        beside.wait().await;
        let kept = log.finish().await;
        let text = match kept {
            Some(kept) => self.store.get(kept.digest, 1 << 20).await.expect("a log").to_vec(),
            None => Vec::new(),
        };
        Ended { id, outcome, ledger, log: String::from_utf8(text).expect("text") }
    }

    pub(crate) async fn ask(&self, action: &str, with: Value) -> Ended {
        self.carry_out(&task(action, with)).await
    }
}

impl Ended {
    pub(crate) fn outputs(&self) -> &Outputs {
        match &self.outcome {
            Outcome::Succeeded { outputs, .. } => outputs,
            other => panic!("expected a success: {other:?}"),
        }
    }

    pub(crate) fn failure(&self) -> &Failure {
        match &self.outcome {
            Outcome::Failed { failure, .. } => failure,
            other => panic!("expected a failure: {other:?}"),
        }
    }
}

pub(crate) fn task(action: &str, with: Value) -> Task {
    Task {
        run: RunId::generate(),
        step: StepAddress::node(0),
        token: AttemptToken { number: 1, epoch: 1 },
        shard: 0,
        project: "default".parse().expect("a name"),
        pipeline: None,
        pool: maestro_llm::POOL.parse().expect("a name"),
        name: "ask/step".into(),
        action: action.into(),
        with: serde_json::to_vec(&with).expect("JSON"),
        env: Default::default(),
        secrets: Default::default(),
        effect: Effect::Idempotent,
        idempotency_key: RunId::generate().to_string(),
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

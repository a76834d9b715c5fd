mod artifacts;
mod caches;
mod checkout;
mod container;
mod processes;
mod reports;
mod sbom;
mod secrets;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
use maestro_schemas::outcome::{Failure, FailureClass, Outcome, Outputs};
use maestro_schemas::plan::{OutputArtifact, Resources, Workspace};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{BuildPool, Settings};

/// A pool, a store and a place for executions.
struct Bench {
    directory: TempDir,
    pool: BuildPool,
    store: ArtifactStore,
    logs: Mutex<Vec<LogSink>>,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = ArtifactStore::local(directory.path().join("store")).expect("a store");
        Self {
            pool: BuildPool::new(Settings::from_variables(std::env::vars())),
            directory,
            store,
            logs: Mutex::default(),
            stop: CancellationToken::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn execution(&self, task: Task) -> Execution {
        let id = ExecutionId::generate();
        let redactor = Redactor::default();
        let log = LogSink::kept(self.store.clone(), redactor.clone());
        self.logs.lock().expect("the logs").push(log.clone());
        let ledger = Ledger::default();
        Execution {
            account: Account::alone(&task, id, ledger.clone()),
            task: Arc::new(task),
            id,
            stop: self.stop.clone(),
            delivered: 1,
            secrets: Secrets::new(),
            redactor,
            log,
            store: self.store.clone(),
            ledger,
            router: RouterClient::nobody(),
            beside: tokio_util::task::TaskTracker::new(),
            scratch: Scratch::below(self.directory.path(), id),
        }
    }

    async fn carry_out(&self, task: Task) -> Outcome {
        self.pool.carry_out(self.execution(task)).await
    }

    async fn script(&self, script: &str) -> Outcome {
        self.carry_out(self.shell(script)).await
    }

    /// Ends the logs of the executions so far and returns them one after the other.
    async fn log(&self) -> String {
        let logs = std::mem::take(&mut *self.logs.lock().expect("the logs"));
        let mut whole = Vec::new();
        for log in logs {
            if let Some(kept) = log.finish().await {
                let bytes = self.store.get(kept.digest, 1 << 20).await;
                whole.extend_from_slice(&bytes.expect("a log"));
            }
        }
        String::from_utf8(whole).expect("text")
    }

    /// What a script has written to `$BENCH/name` so far.
    fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A step that finds the bench's own directory in `BENCH`.
    fn shell(&self, script: &str) -> Task {
        let mut step = shell(script);
        let directory = self.directory.path().to_str().expect("text");
        step.env.insert("BENCH".into(), directory.into());
        step
    }
}

/// Waits until `holds`, for at most thirty seconds.
async fn eventually(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "it did not come to hold in time");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn task(action: &str, with: Value) -> Task {
    Task {
        run: RunId::generate(),
        step: StepAddress::node(0),
        token: AttemptToken { number: 3, epoch: 1 },
        shard: 0,
        project: "default".parse().expect("a name"),
        pipeline: None,
        pool: "build".parse().expect("a name"),
        name: "build/step".into(),
        action: action.into(),
        with: with.to_string().into_bytes(),
        env: Default::default(),
        secrets: Default::default(),
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

fn shell(script: &str) -> Task {
    task("shell", json!({ "script": script }))
}

fn output(role: &str, path: &str) -> OutputArtifact {
    OutputArtifact { role: role.into(), path: path.into(), optional: false }
}

fn success(outcome: Outcome) -> (Outputs, Vec<Artifact>) {
    match outcome {
        Outcome::Succeeded { outputs, artifacts } => (outputs, artifacts),
        other => panic!("not a success: {other:?}"),
    }
}

fn failure(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed { failure, .. } => failure,
        other => panic!("not a failure: {other:?}"),
    }
}

fn permanent(outcome: Outcome) -> Failure {
    let failure = failure(outcome);
    assert_eq!(failure.class, FailureClass::Permanent, "{failure:?}");
    failure
}

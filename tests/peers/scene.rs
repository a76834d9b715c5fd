//! Runs of one step of the pool `llm` on real servers: bus, database, coordinator, API with a router, and a
//! worker.

use std::sync::Arc;

use maestro_cli::service::api::{self, Parts};
use maestro_cli::service::router::near;
use maestro_evidence::store::ArtifactStore;
use maestro_llm::{LlmPool, POOL, Places};
use maestro_schemas::artifact::{Artifact, LOG_ROLE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::{Plan, RetryPolicy, Workspace};
use maestro_server::routing;
use maestro_streams::topology::Role;
use maestro_tests::harness::{Cluster, Running, plan_of, until};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The servers, and what runs on them.
pub(crate) struct Scene {
    cluster: Cluster,
    rows: PgPool,
    _running: (Running, maestro_kit::session::Worker),
    _stop: DropGuard,
}

/// How the worker asks the router.
#[derive(Debug, Clone, Copy)]
enum Asked {
    OverTheBus,
    Here,
}

/// How a run of one step ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) state: String,
    /// The outputs, or else the failure.
    pub(crate) outputs: Value,
    pub(crate) calls: Vec<Called>,
    pub(crate) log: String,
}

/// A call in the books.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(crate) struct Called {
    pub(crate) model: String,
    pub(crate) deployment: Option<String>,
    pub(crate) decided: bool,
    pub(crate) cost_microusd: i64,
    pub(crate) input_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) wall_ms: i64,
}

impl Scene {
    /// Starts them with this configuration of the router, where there is one, and a worker that calls models
    /// at these places.
    pub(crate) async fn open(config: Option<&str>, places: impl Into<Places>) -> Self {
        Self::under(config, None, places).await
    }

    /// The same under a policy.
    pub(crate) async fn under(
        config: Option<&str>,
        policy: Option<&str>,
        places: impl Into<Places>,
    ) -> Self {
        Self::start((config, policy), places, Asked::OverTheBus).await
    }

    /// The same with the router in the worker's own process, which is asked there.
    pub(crate) async fn beside(config: &str, places: impl Into<Places>) -> Self {
        Self::start((Some(config), None), places, Asked::Here).await
    }

    async fn start(
        (config, policy): (Option<&str>, Option<&str>),
        places: impl Into<Places>,
        asked: Asked,
    ) -> Self {
        let cluster = Cluster::start(&[POOL]).await;
        let policies = policy.map(|text| {
            let root = cluster.dir().join("policies");
            std::fs::create_dir_all(root.join("global")).expect("a directory");
            std::fs::write(root.join("global/policy.rego"), text).expect("a file");
            root
        });
        let config = config.map(|text| {
            let file = cluster.dir().join("litellm.yaml");
            std::fs::write(&file, text).expect("a file");
            file
        });
        let coordinator = cluster.coordinator("one");
        let rows = cluster.rows().await;
        let stop = CancellationToken::new();
        until("the tables", || async {
            sqlx::query("select unmade from model_call").execute(&rows).await.ok()
        })
        .await;
        let parts = Parts {
            bus: cluster.bus(&Role::Api, "api"),
            database_url: &cluster.postgres.url(),
            objects: cluster.store.clone(),
            metrics: maestro_telemetry::metrics::Metrics::new(),
            router: routing::Options { config, policies },
            keys: None,
            keyring: Default::default(),
        };
        let api = api::open(parts, &stop).await.expect("the API opens");
        let router = matches!(asked, Asked::Here).then(|| near(api.routing()));
        let pool = LlmPool::new(places).expect("a pool");
        let name = POOL.parse().expect("a name");
        let worker = cluster.serve_beside(router, "w", 4, (name, Arc::new(pool))).await;
        Self { cluster, rows, _running: (coordinator, worker), _stop: stop.drop_guard() }
    }

    /// Runs one step to its end.
    pub(crate) async fn ask(&self, action: &str, with: Value) -> Run {
        self.ask_within(action, with, None).await
    }

    /// The same with a budget, in millionths of a dollar.
    pub(crate) async fn ask_within(&self, action: &str, with: Value, budget: Option<u64>) -> Run {
        let mut plan = plan(action, with);
        plan.nodes[0].budget_microusd = budget;
        self.run(plan).await
    }

    /// The same with files that the step sees.
    pub(crate) async fn ask_with_files(
        &self,
        action: &str,
        with: Value,
        files: &[(&str, &str)],
    ) -> Run {
        let mut plan = plan(action, with);
        plan.nodes[0].workspace = tree(&self.cluster.store, files).await;
        self.run(plan).await
    }

    async fn run(&self, plan: Plan) -> Run {
        let run = self.cluster.submit(plan, 1).await;
        let state = self.cluster.ended(&self.rows, run).await;
        let (outputs, artifacts): (Option<String>, Option<String>) = sqlx::query_as(
            "select coalesce(outputs, failure)::text, artifacts::text from attempt where run = $1 order by number desc limit 1",
        )
        .bind(run.uuid())
        .fetch_one(&self.rows)
        .await
        .expect("an attempt");
        let read =
            |text: Option<String>| text.map(|text| serde_json::from_str(&text).expect("JSON"));
        let log = self.log(read(artifacts).unwrap_or_default()).await;
        let outputs = read(outputs).unwrap_or_default();
        Run { state, outputs, calls: self.calls(run).await, log }
    }

    /// The calls of a run, in order.
    async fn calls(&self, run: RunId) -> Vec<Called> {
        self.calls_of(Some(run)).await
    }

    /// The calls of all runs that are in the books now.
    pub(crate) async fn all_calls(&self) -> Vec<Called> {
        self.calls_of(None).await
    }

    async fn calls_of(&self, run: Option<RunId>) -> Vec<Called> {
        sqlx::query_as(
            "select model, deployment, decision is not null as decided, cost_microusd, input_tokens, output_tokens, wall_ms from model_call where not unmade and ($1::uuid is null or run = $1) order by ordinal",
        )
        .bind(run.map(RunId::uuid))
        .fetch_all(&self.rows)
        .await
        .expect("calls")
    }

    /// The mode and the deployment of the last decision that is kept.
    pub(crate) async fn decision(&self) -> Option<(String, String)> {
        sqlx::query_as("select mode, deployment from route_decision order by id desc limit 1")
            .fetch_optional(&self.rows)
            .await
            .expect("a decision")
    }

    async fn log(&self, artifacts: Value) -> String {
        let artifacts: Vec<Artifact> = serde_json::from_value(artifacts).unwrap_or_default();
        let Some(log) = artifacts.iter().find(|one| one.role == LOG_ROLE) else {
            return String::new();
        };
        let bytes = self.cluster.store.get(log.digest, 1 << 20).await.expect("a log");
        String::from_utf8(bytes.to_vec()).expect("text")
    }
}

impl Run {
    /// The models that were called, in order.
    pub(crate) fn models(&self) -> Vec<&str> {
        self.calls.iter().map(|call| call.model.as_str()).collect()
    }

    /// The text of the answer.
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.state, "succeeded", "{}", self.outputs);
        self.outputs["text"].as_str().unwrap_or_default()
    }
}

/// Files that a step sees.
pub(crate) async fn tree(store: &ArtifactStore, files: &[(&str, &str)]) -> Workspace {
    let mut entries = Vec::new();
    for (path, text) in files {
        let stored = store.put(text.as_bytes().to_vec()).await.expect("it is stored");
        let (digest, size) = (stored.digest, stored.size);
        let kind = TreeEntryKind::File { digest, size, executable: false };
        entries.push(TreeEntry { path: (*path).to_owned(), kind });
    }
    let tree = serde_json::to_vec(&serde_json::json!(Tree { entries })).expect("JSON");
    Workspace::Tree { digest: store.put(tree).await.expect("it is stored").digest }
}

fn plan(action: &str, with: Value) -> Plan {
    let mut plan = plan_of(&[("ask", POOL, action, &[])]);
    plan.nodes[0].with = with;
    plan.nodes[0].retry = RetryPolicy { retries_max: 0, ..RetryPolicy::default() };
    plan
}

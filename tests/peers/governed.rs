//! Real servers with a router, policies and a worker that calls models through LiteLLM's own proxy.

use std::sync::Arc;

use maestro_llm::{Gateway, LlmPool, POOL};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::{Plan, RetryPolicy, Workspace};
use maestro_server::routing;
use maestro_tests::harness::{Cluster, plan_of};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::hook::{TOKEN, serve_api};
use crate::plain::client;
use crate::scene::tree;
use crate::stage::shared;

/// The servers and the worker; all end when it is dropped.
pub(crate) struct Scene {
    cluster: Cluster,
    rows: PgPool,
    address: String,
    _running: (maestro_tests::harness::Running, maestro_kit::session::Worker),
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    /// With this configuration of the router, and a global bundle of these policies; without any, none
    /// are in force.
    pub(crate) async fn new(config: Option<&str>, policies: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start(&[POOL]).await;
        let file = cluster.dir().join("litellm.yaml");
        std::fs::write(&file, config.unwrap_or_default()).expect("a file");
        let root = cluster.dir().join("policies");
        std::fs::create_dir_all(root.join("global")).expect("a directory");
        for (name, text) in policies {
            std::fs::write(root.join("global").join(name), text).expect("a file");
        }
        let router = routing::Options {
            config: config.map(|_| file),
            policies: (!policies.is_empty()).then_some(root),
        };
        let coordinator = cluster.coordinator("one");
        let rows = cluster.rows().await;
        let stop = CancellationToken::new();
        let address = serve_api(&cluster, router, &stop).await;
        let (proxy, _) = shared().await;
        let pool = LlmPool::new(Gateway::Kept(Arc::new(proxy.clone()))).expect("a pool");
        let name = POOL.parse().expect("a name");
        let worker = cluster.serve("w", 4, name, Arc::new(pool)).await;
        let _stop = stop.drop_guard();
        Self { cluster, rows, address, _running: (coordinator, worker), _stop }
    }

    /// A request to the API, below the project.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/v1/projects/default{path}", self.address);
        client().request(method, url).bearer_auth(TOKEN)
    }

    /// Files that steps see.
    pub(crate) async fn files(&self, files: &[(&str, &str)]) -> Workspace {
        tree(&self.cluster.store, files).await
    }

    /// Runs one step to its end; answers its state, and its outputs or else its failure.
    pub(crate) async fn ask(&self, with: Value) -> (String, RunId, Value) {
        self.run(plan(with)).await
    }

    /// The same with a plan of one's own.
    pub(crate) async fn run(&self, plan: Plan) -> (String, RunId, Value) {
        let run = self.cluster.submit(plan, 1).await;
        let state = self.cluster.ended(&self.rows, run).await;
        let outputs: Option<String> = sqlx::query_scalar(
            "select coalesce(outputs, failure)::text from attempt where run = $1 order by number desc limit 1",
        )
        .bind(run.uuid())
        .fetch_one(&self.rows)
        .await
        .expect("an attempt");
        let outputs = outputs.map(|text| serde_json::from_str(&text).expect("JSON"));
        (state, run, outputs.unwrap_or_default())
    }

    /// The deployments that a run's calls went to, in order, each with whether a decision is known.
    pub(crate) async fn calls(&self, run: RunId) -> Vec<(String, bool)> {
        sqlx::query_as(
            "select model, decision is not null from model_call where run = $1 and not unmade order by ordinal",
        )
        .bind(run.uuid())
        .fetch_all(&self.rows)
        .await
        .expect("calls")
    }
}

/// A plan of one step that asks a model once.
pub(crate) fn plan(with: Value) -> Plan {
    let mut plan = plan_of(&[("ask", POOL, "litellm.generate", &[])]);
    plan.nodes[0].with = with;
    plan.nodes[0].retry = RetryPolicy { retries_max: 0, ..RetryPolicy::default() };
    plan
}

//! Workers in this process, with handlers in a few words.

use std::sync::Arc;
use std::time::Duration;

use maestro_kit::action::{Carried, Execution, Handler};
use maestro_kit::router::Near;
use maestro_kit::session::{PoolConfig, Worker, WorkerConfig};
use maestro_schemas::action::{ActionInfo, Effect};
use maestro_schemas::name::PoolName;
use maestro_schemas::outcome::Outcome;
use maestro_streams::topology::Role;

use super::Cluster;

/// A handler that is one function over executions.
pub struct Scripted {
    pool: PoolName,
    carry: Arc<dyn Fn(Execution) -> Carried + Send + Sync>,
}

impl Scripted {
    /// Serves the action `noop` of `pool` by `carry`.
    pub fn new<F>(pool: &str, carry: impl Fn(Execution) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let carry = move |execution| -> Carried { Box::pin(carry(execution)) };
        Arc::new(Self { pool: pool.parse().expect("a name"), carry: Arc::new(carry) })
    }

    /// Succeeds at once.
    pub fn noop(pool: &str) -> Arc<Self> {
        Self::new(pool, |_| async { Outcome::succeeded() })
    }
}

impl Handler for Scripted {
    fn actions(&self) -> Vec<ActionInfo> {
        vec![ActionInfo {
            name: "noop".into(),
            version: "1".into(),
            pool: self.pool.clone(),
            summary: "Does what a test says.".into(),
            effect: Effect::Idempotent,
            with_schema: serde_json::json!({}),
        }]
    }

    fn carry_out(&self, execution: Execution) -> Carried {
        (self.carry)(execution)
    }
}

impl Cluster {
    /// Starts a worker of one pool in this process.
    pub async fn worker(&self, name: &str, slots: u32, handler: Arc<Scripted>) -> Worker {
        let pool = handler.pool.clone();
        self.serve(name, slots, pool, handler).await
    }

    /// Starts a worker of the build pool in this process.
    pub async fn build_worker(&self, name: &str, slots: u32) -> Worker {
        let settings = maestro_build::Settings::from_variables(std::env::vars());
        let handler = Arc::new(maestro_build::BuildPool::new(settings));
        let pool = maestro_build::POOL.parse().expect("a name");
        self.serve(name, slots, pool, handler).await
    }

    /// Starts a worker of any pool in this process.
    pub async fn serve(
        &self,
        name: &str,
        slots: u32,
        pool: PoolName,
        handler: Arc<dyn Handler>,
    ) -> Worker {
        self.serve_beside(None, name, slots, (pool, handler)).await
    }

    /// The same beside a router in this process.
    pub async fn serve_beside(
        &self,
        router: Option<Arc<dyn Near>>,
        name: &str,
        slots: u32,
        (pool, handler): (PoolName, Arc<dyn Handler>),
    ) -> Worker {
        let role = Role::Worker(pool.clone());
        let config = WorkerConfig {
            name: name.to_owned(),
            scratch: self.dir().join("work").join(name),
            store: self.store.clone(),
            drain_max: Duration::from_secs(10),
            router,
        };
        let connect = self.bus(&role, name);
        let pool = PoolConfig { pool, slots, prefetch: false, connect, handler };
        Worker::start(config, vec![pool]).await.expect("the worker starts")
    }
}

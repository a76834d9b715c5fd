//! `maestro worker` as a service: serves pools until it is told to drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maestro_build::BuildPool;
use maestro_kit::action::Handler;
use maestro_kit::session::{PoolConfig, SLOTS_MAX, Worker, WorkerConfig};
use maestro_llm::LlmPool;
use maestro_schemas::name::PoolName;
use maestro_streams::topology::permission::Role;
use tokio_util::sync::CancellationToken;

use super::bus::Reach;
use super::models::ModelArgs;
use crate::bench::noop::{self, NoopPool};
use crate::env_vars;
use crate::error::Error;
use crate::up::servers;
use crate::view::duration;

/// What a worker needs.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    reach: Reach,
    /// The pools to serve, separated by commas.
    #[arg(long = "pool", required = true, value_delimiter = ',', value_name = "POOL")]
    pools: Vec<PoolName>,
    /// How many steps of each pool run together; as many as there are cores where nothing is said.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=i64::from(SLOTS_MAX)))]
    slots: Option<u32>,
    /// Where steps have their workspaces.
    #[arg(long, value_name = "DIRECTORY", default_value = ".maestro/work")]
    scratch: PathBuf,
    /// A Docker config.json with credentials for registries of containers; for the pool build.
    #[arg(long, env = env_vars::REGISTRY_AUTH, value_name = "FILE")]
    registry_auth: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
    /// What runs may go on for this long after SIGTERM; then it is given back.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    drain: Duration,
}

/// Works until `stop` and what was in hand then has ended.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let config = WorkerConfig {
        name: settings.reach.name(),
        scratch: settings.scratch.clone(),
        store: settings.reach.store()?,
        drain_max: settings.drain,
    };
    let pools = settings.pools.iter().map(|pool| pool_config(&settings, pool));
    let pools = pools.collect::<Result<Vec<_>, _>>()?;
    let mut worker = Worker::start(config, pools)
        .await
        .map_err(|source| Error::service("start the worker", source))?;
    until_drained(&mut worker, stop).await;
    Ok(())
}

/// Lets a worker work until `stop`, then lets it finish what it has in hand.
pub async fn until_drained(worker: &mut Worker, stop: CancellationToken) {
    tokio::select! {
        () = worker.finished() => return,
        () = stop.cancelled() => worker.drain(),
    }
    worker.finished().await;
}

/// As many slots as there are cores, and two at least.
pub fn slots_default() -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(2).clamp(2, SLOTS_MAX)
}

fn pool_config(settings: &Settings, pool: &PoolName) -> Result<PoolConfig, Error> {
    Ok(PoolConfig {
        pool: pool.clone(),
        slots: settings.slots.unwrap_or_else(slots_default),
        // Steps that do nothing are shorter than the question for the next one.
        prefetch: pool.as_str() == noop::POOL,
        connect: settings.reach.bus(&Role::Worker(pool.clone())),
        handler: handler(settings, pool)?,
    })
}

fn handler(settings: &Settings, pool: &PoolName) -> Result<Arc<dyn Handler>, Error> {
    match pool.as_str() {
        noop::POOL => Ok(Arc::new(NoopPool::new(pool.clone()))),
        maestro_build::POOL => {
            let caches = settings.scratch.join("caches");
            let given = maestro_build::Settings::from_variables(std::env::vars());
            let given = given.with_registry_auth(settings.registry_auth.clone());
            Ok(Arc::new(BuildPool::new(given.with_caches(caches))))
        }
        maestro_llm::POOL => {
            let pool = LlmPool::new(settings.models.places()?);
            Ok(Arc::new(pool.map_err(|source| Error::service("call models", source))?))
        }
        _ => {
            let hint = format!("this binary serves the pools {}", servers::POOLS.join(" and "));
            Err(Error::usage(format!("nobody here serves a pool {pool}"), hint))
        }
    }
}

//! `maestro worker` as a service: serves pools until it is told to drain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maestro_build::STRICT_POOL;
use maestro_kit::action::Handler;
use maestro_kit::session::{self as kit, PoolConfig, SLOTS_MAX, Worker, WorkerConfig};
use maestro_llm::LlmPool;
use maestro_schemas::name::PoolName;
use maestro_streams::topology::permission::Role;
use tokio_util::sync::CancellationToken;

use super::bus::Reach;
use super::models::ModelArgs;
use super::sandbox::{SandboxArgs, absolute, serves_strict};
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
    /// Below which directories the pool build checks repositories out by their paths (file://); none where
    /// nothing is said. May be given several times.
    #[arg(long = "checkout-root", env = env_vars::CHECKOUT_ROOTS, value_name = "PATH", value_delimiter = ':', value_parser = absolute)]
    checkout_roots: Vec<PathBuf>,
    #[command(flatten)]
    sandbox: SandboxArgs,
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
        router: None,
    };
    let build = build_pool(&settings).await?;
    let pools = settings.pools.iter().map(|pool| pool_config(&settings, pool, build.as_ref()));
    let pools = pools.collect::<Result<Vec<_>, _>>()?;
    let mut worker = start(&settings, config, pools).await?;
    until_drained(&mut worker, stop).await;
    Ok(())
}

/// Starts a worker. One that builds and has bubblewrap serves the strict pool too, where each pool has
/// a user of its own and the bus lets that one in; who names the pool insists on it.
async fn start(
    settings: &Settings,
    config: WorkerConfig,
    pools: Vec<PoolConfig>,
) -> Result<Worker, Error> {
    let failed = |source| Error::service("start the worker", source);
    let is_named = |name: &str| pools.iter().find(|pool| pool.pool.as_str() == name);
    let builds = is_named(maestro_build::POOL)
        .filter(|builds| serves_strict(&*builds.handler))
        .filter(|_| is_named(STRICT_POOL).is_none() && settings.reach.nats_user.is_none());
    if let Some(builds) = builds {
        let pool: PoolName =
            STRICT_POOL.parse().map_err(|source| Error::service("serve the pool", source))?;
        let connect = settings.reach.bus(&Role::Worker(pool.clone()));
        // It comes first: where the bus refuses it, the others have not begun.
        let strict = PoolConfig { pool: pool.clone(), connect, ..builds.clone() };
        let both = [strict].into_iter().chain(pools.iter().cloned()).collect();
        match Worker::start(config.clone(), both).await {
            Err(kit::Error::Connect { pool: refused, source }) if refused == pool => {
                tracing::warn!(%source, "strict steps are left to others");
            }
            started => return started.map_err(failed),
        }
    }
    Worker::start(config, pools).await.map_err(failed)
}

/// The build pool in the sandboxes of this host, where one of its pools is served.
async fn build_pool(settings: &Settings) -> Result<Option<Arc<dyn Handler>>, Error> {
    let wants = |name: &str| settings.pools.iter().any(|pool| pool.as_str() == name);
    if !wants(maestro_build::POOL) && !wants(STRICT_POOL) {
        return Ok(None);
    }
    let caches = settings.scratch.join("caches");
    let given = maestro_build::Settings::from_variables(std::env::vars()).with_caches(caches);
    let given = given.with_registry_auth(settings.registry_auth.clone());
    let given = given.with_checkout_roots(settings.checkout_roots.clone());
    let pool: Arc<dyn Handler> = Arc::new(settings.sandbox.pool(given).await);
    if wants(STRICT_POOL) && !serves_strict(&*pool) {
        let reason = pool.sandbox().and_then(|offered| offered.reason).unwrap_or_default();
        let hint = format!("{reason}; scripts/get-tools.sh gets bubblewrap");
        return Err(Error::usage(format!("MAE-7005: {STRICT_POOL} takes bubblewrap"), hint));
    }
    Ok(Some(pool))
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

fn pool_config(
    settings: &Settings,
    pool: &PoolName,
    build: Option<&Arc<dyn Handler>>,
) -> Result<PoolConfig, Error> {
    Ok(PoolConfig {
        pool: pool.clone(),
        slots: settings.slots.unwrap_or_else(slots_default),
        // Steps that do nothing are shorter than the question for the next one.
        prefetch: pool.as_str() == noop::POOL,
        connect: settings.reach.bus(&Role::Worker(pool.clone())),
        handler: handler(settings, pool, build)?,
    })
}

fn handler(
    settings: &Settings,
    pool: &PoolName,
    build: Option<&Arc<dyn Handler>>,
) -> Result<Arc<dyn Handler>, Error> {
    match (pool.as_str(), build) {
        (noop::POOL, _) => Ok(Arc::new(NoopPool::new(pool.clone()))),
        (maestro_build::POOL | STRICT_POOL, Some(build)) => Ok(Arc::clone(build)),
        (maestro_llm::POOL, _) => {
            let pool = LlmPool::new(settings.models.places()?);
            Ok(Arc::new(pool.map_err(|source| Error::service("call models", source))?))
        }
        _ => {
            let hint = format!("this binary serves the pools {}", servers::POOLS.join(" and "));
            Err(Error::usage(format!("nobody here serves a pool {pool}"), hint))
        }
    }
}

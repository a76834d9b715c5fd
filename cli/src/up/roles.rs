//! The roles of a local stack, each as it is in a cluster: coordinator, API, worker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maestro_build::Settings;
use maestro_evidence::key::home::Home;
use maestro_evidence::secret::key_file::KeyFile;
use maestro_evidence::store::ArtifactStore;
use maestro_kit::action::Handler;
use maestro_kit::router::Near;
use maestro_kit::session::{PoolConfig, Worker, WorkerConfig};
use maestro_llm::{Gateway, LlmPool};
use maestro_schemas::name::PoolName;
use maestro_server::api::serve;
use maestro_server::app::secrets::Keyring;
use maestro_server::background::retention::Keep;
use maestro_server::coordinator::{self, CoordinatorConfig};
use maestro_server::notary::keys::Keys;
use maestro_server::routing;
use maestro_streams::connect::ConnectOptions;
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;
use maestro_telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::servers;
use crate::env_vars;
use crate::error::Error;
use crate::local::litellm::{self, Litellm};
use crate::local::paths::make_dir;
use crate::local::stack::Stack;
use crate::service::api;
use crate::service::models;
use crate::service::router::near;
use crate::service::sandbox::{SandboxArgs, absolute, serves_strict};
use crate::service::worker::{slots_default, until_drained};
use crate::target::Endpoint;

/// Its name in leases: whoever starts next under it takes the shards back at once.
const NAME: &str = "local";
/// What runs may go on for this long when the stack ends; then it is given back.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How many calls of models go on together: each only waits.
const LLM_SLOTS: u32 = 16;
/// For the roles to end once they were told to.
const STOP_MAX: Duration = Duration::from_secs(20);

/// The running roles.
#[derive(Debug)]
pub struct Roles {
    serving: JoinSet<Result<(), Error>>,
    working: JoinSet<Result<(), Error>>,
    draining: CancellationToken,
    stop: CancellationToken,
    gateway: Litellm,
    workspaces: PathBuf,
}

impl Roles {
    /// Starts them on the stack's servers, and says where the API is once it takes requests.
    pub async fn start(stack: &Stack, project: &Path) -> Result<(Self, Endpoint), Error> {
        let store = ArtifactStore::local(stack.paths().objects())
            .map_err(|source| Error::service("open the artifact store", source))?;
        let workspaces = anew(stack).await?;
        let token = stack.secret(servers::TOKEN).unwrap_or_default().to_owned();
        api::admit_admin(&stack.postgres.url(), NAME, &token).await?;
        let stop = CancellationToken::new();
        let mut serving = JoinSet::new();
        let metrics = Metrics::new();
        let mut folding = coordinate(stack, store.clone(), metrics.clone(), stop.clone())?;
        serving.spawn(async move {
            let folded = folding.ended().await;
            folded.map_err(|source| Error::service("go on as coordinator", source))
        });
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(|source| Error::System { action: "listen on loopback", source })?;
        let address = listener
            .local_addr()
            .map_err(|source| Error::System { action: "listen on loopback", source })?;
        let parts = api::Parts {
            bus: bus(stack, &Role::Api),
            database_url: &stack.postgres.url(),
            objects: store.clone(),
            metrics,
            router: router(project),
            keys: Some(keys(stack)),
            keyring: keyring(stack)?,
        };
        let api = api::open(parts, &stop).await?;
        let worker = worker(workspaces.clone(), store, near(api.routing()));
        let serve = serve::serve(listener, api, stop.clone());
        serving.spawn(async {
            serve.await;
            Ok(())
        });
        let draining = CancellationToken::new();
        let mut working = JoinSet::new();
        let gateway = Litellm::new(litellm::Options {
            router: router(project).config,
            ..litellm::Options::of_project(project, stack.paths().litellm())
        });
        let serves = (worker, pools(stack, project, &gateway).await?);
        working.spawn(work(serves, stack.postgres.url(), draining.clone()));
        let endpoint = Endpoint { api: format!("http://{address}"), token };
        Ok((Self { serving, working, draining, stop, gateway, workspaces }, endpoint))
    }

    /// Waits until one of them ends by itself, which none does.
    pub async fn ended(&mut self) -> Error {
        let ended = tokio::select! {
            Some(ended) = self.serving.join_next() => ended,
            Some(ended) = self.working.join_next() => ended,
            else => return Error::service("go on", "no role of the stack is left"),
        };
        match ended {
            Ok(Ok(())) => Error::service("go on", "a role of the stack ended by itself"),
            Ok(Err(error)) => error,
            Err(broken) => Error::service("go on", broken),
        }
    }

    /// Ends the worker, so that its last reports are folded, then the rest.
    pub async fn stop(mut self) {
        self.draining.cancel();
        // What does not end in time ends with the process; the next start ensures what is live.
        let _ =
            timeout(STOP_MAX, async { while self.working.join_next().await.is_some() {} }).await;
        // Only where it is empty.
        let _ = tokio::fs::remove_dir(&self.workspaces).await;
        if let Err(error) = self.gateway.stop().await {
            tracing::warn!(%error, "the model gateway did not end in good order");
        }
        self.stop.cancel();
        let _ =
            timeout(STOP_MAX, async { while self.serving.join_next().await.is_some() {} }).await;
    }
}

/// An empty directory for workspaces. What is there is left of an owner that was killed: there is never
/// more than one of a stack.
async fn anew(stack: &Stack) -> Result<PathBuf, Error> {
    let directory = stack.paths().work()?;
    if let Err(error) = tokio::fs::remove_dir_all(&directory).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "workspaces of a former owner stay behind");
    }
    match make_dir(&directory) {
        Ok(()) => Ok(directory),
        Err(error) => {
            let near = stack.paths().root().join("work");
            tracing::warn!(%error, "workspaces are below the project");
            make_dir(&near).map(|()| near).map_err(Error::from)
        }
    }
}

/// What the project's directory says of routing: `deploy/router/litellm.yaml` and `policies/`, where
/// they are there when the stack starts.
fn router(project: &Path) -> routing::Options {
    let config = project.join("deploy/router/litellm.yaml");
    let policies = project.join("policies");
    routing::Options {
        config: config.is_file().then_some(config),
        policies: policies.join("global").is_dir().then_some(policies),
    }
}

/// The stack's own file of key-encryption keys, made when it is first started.
fn keyring(stack: &Stack) -> Result<Keyring, Error> {
    let file = stack.paths().secrets_key();
    KeyFile::ensure(&file).map_err(Error::KeyFile)?;
    Ok(Keyring::of(Arc::new(KeyFile::at(file))))
}

fn bus(stack: &Stack, role: &Role) -> ConnectOptions {
    let user = role.user();
    let password = stack.password(&user).unwrap_or_default().to_owned();
    ConnectOptions::new(stack.nats.url(), NAME, role).credentials(user, password)
}

fn coordinate(
    stack: &Stack,
    store: ArtifactStore,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<coordinator::Running, Error> {
    let config = CoordinatorConfig {
        name: NAME.to_owned(),
        bus: bus(stack, &Role::Coordinator),
        database_url: stack.postgres.url(),
        store,
        topology: Topology::default(),
        keep: Keep::default(),
        keys: Some(keys(stack)),
        metrics,
    };
    coordinator::start(config, stop)
        .map_err(|source| Error::service("start the coordinator", source))
}

/// The stack's own keys: nobody but their owner can read their passphrase.
fn keys(stack: &Stack) -> Keys {
    let passphrase = stack.secret(servers::KEYS).unwrap_or_default().to_owned();
    Keys::of(Home::at(stack.paths().keys()), passphrase.into()).made_when_missing()
}

fn worker(scratch: PathBuf, store: ArtifactStore, router: Arc<dyn Near>) -> WorkerConfig {
    WorkerConfig {
        name: format!("{NAME}-{}", std::process::id()),
        scratch,
        store,
        drain_max: DRAIN_MAX,
        router: Some(router),
    }
}

/// What a worker of every pool serves.
async fn pools(stack: &Stack, project: &Path, gateway: &Litellm) -> Result<Vec<PoolConfig>, Error> {
    let registry_auth = models::variable(env_vars::REGISTRY_AUTH).map(PathBuf::from);
    let settings = Settings::from_variables(std::env::vars()).with_registry_auth(registry_auth);
    let settings = settings.with_caches(stack.paths().caches());
    let settings = settings.with_checkout_roots(checkout_roots(project)?);
    let build: Arc<dyn Handler> = Arc::new(SandboxArgs::of_environment()?.pool(settings).await);
    let kept = Gateway::Kept(Arc::new(gateway.clone()));
    let llm =
        LlmPool::new(models::of_stack(kept, router(project).config.as_deref(), &models::variable)?)
            .map_err(|source| Error::service("call models", source))?;
    let mut pools = vec![
        pool(stack, maestro_build::POOL, slots_default(), Arc::clone(&build))?,
        pool(stack, maestro_llm::POOL, LLM_SLOTS, Arc::new(llm))?,
    ];
    if serves_strict(&*build) {
        pools.push(pool(stack, maestro_build::STRICT_POOL, slots_default(), build)?);
    }
    Ok(pools)
}

/// Below which directories repositories are checked out by their paths: the project's own, and what the
/// environment names.
fn checkout_roots(project: &Path) -> Result<Vec<PathBuf>, Error> {
    let named = models::variable(env_vars::CHECKOUT_ROOTS).unwrap_or_default();
    let named = named.split(':').filter(|path| !path.is_empty()).map(absolute);
    let refuse = |hint| Error::usage(format!("{} is refused", env_vars::CHECKOUT_ROOTS), hint);
    let named = named.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    let own = std::path::absolute(project).unwrap_or_else(|_| project.to_owned());
    Ok([own].into_iter().chain(named).collect())
}

fn pool(
    stack: &Stack,
    name: &str,
    slots: u32,
    handler: Arc<dyn Handler>,
) -> Result<PoolConfig, Error> {
    let pool: PoolName = name.parse().map_err(|source| Error::service("serve the pool", source))?;
    let connect = bus(stack, &Role::Worker(pool.clone()));
    Ok(PoolConfig { connect, pool, slots, prefetch: false, handler })
}

/// Works until it is to drain, and then until what was in hand has ended.
async fn work(
    (config, pools): (WorkerConfig, Vec<PoolConfig>),
    database_url: String,
    draining: CancellationToken,
) -> Result<(), Error> {
    tokio::select! {
        owned = api::until_owned(&database_url) => owned?,
        () = draining.cancelled() => return Ok(()),
    }
    let mut worker = Worker::start(config, pools)
        .await
        .map_err(|source| Error::service("start the worker", source))?;
    until_drained(&mut worker, draining).await;
    Ok(())
}

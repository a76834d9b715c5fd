//! `maestro coordinator` as a service: folds its share of the shards, and serves the API where it
//! is told an address.

use std::net::SocketAddr;
use std::path::PathBuf;

use maestro_server::api::serve;
use maestro_server::coordinator::{self, CoordinatorConfig};
use maestro_server::routing;
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;
use maestro_telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::api;
use super::bus::Reach;
use crate::env_vars;
use crate::error::Error;

/// What a coordinator needs.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    reach: Reach,
    /// The database, as postgres://user:password@host/database; better in the environment, because
    /// a flag shows in process lists.
    #[arg(long, env = env_vars::DATABASE_URL, value_name = "URL", hide_env_values = true)]
    database: String,
    /// Serve the API here, as 127.0.0.1:8080.
    #[arg(long, env = env_vars::LISTEN, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The router's configuration, as deploy/router/litellm.yaml; read again when it changes.
    #[arg(long, env = env_vars::ROUTER_CONFIG, value_name = "FILE")]
    router_config: Option<PathBuf>,
    /// The directory of policies, with global/ and projects/NAME/; read again when it changes. Where
    /// it is named, nothing is permitted that its policies do not permit.
    #[arg(long, env = env_vars::POLICIES, value_name = "DIRECTORY")]
    policies: Option<PathBuf>,
    /// How many shards runs are spread over; fixed once the cluster has begun.
    #[arg(long, default_value_t = 4, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: u16,
    /// Copies of each stream: 1, or 3 where the bus is a cluster.
    #[arg(long, default_value_t = 1, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=5))]
    replicas: u8,
}

/// Works until `stop`, or until a part of it cannot go on: half a coordinator would look whole.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), Error> {
    let metrics = Metrics::new();
    let config = config(&settings, metrics.clone())?;
    let halt = stop.child_token();
    let mut folding = coordinator::start(config, halt.clone())
        .map_err(|source| Error::service("start the coordinator", source))?;
    let folding = async {
        let folded = folding.ended().await;
        halt.cancel();
        folded.map_err(|source| Error::service("go on as coordinator", source))
    };
    let serving = async {
        let served = serve_api(&settings, metrics, halt.clone()).await;
        halt.cancel();
        served
    };
    let (folded, served) = tokio::join!(folding, serving);
    folded.and(served)
}

fn config(settings: &Settings, metrics: Metrics) -> Result<CoordinatorConfig, Error> {
    Ok(CoordinatorConfig {
        name: settings.reach.name(),
        bus: settings.reach.bus(&Role::Coordinator),
        database_url: settings.database.clone(),
        store: settings.reach.store()?,
        topology: Topology {
            shards: settings.shards,
            replicas: settings.replicas,
            ..Topology::default()
        },
        metrics,
    })
}

/// Serves the API where an address is given; waits for the end where none is.
async fn serve_api(
    settings: &Settings,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), Error> {
    let Some(address) = settings.listen else {
        stop.cancelled().await;
        return Ok(());
    };
    if let Ok(secret) = std::env::var(env_vars::ADMIN_TOKEN)
        && !secret.is_empty()
    {
        api::admit_admin(&settings.database, "admin", &secret).await?;
    }
    let reach = &settings.reach;
    let parts = api::Parts {
        bus: reach.api_bus(),
        database_url: &settings.database,
        objects: reach.store()?,
        metrics,
        router: routing::Options {
            config: settings.router_config.clone(),
            policies: settings.policies.clone(),
        },
    };
    let api = api::open(parts, &stop).await?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::System { action: "listen for the API", source })?;
    tracing::info!(%address, "the API takes requests");
    serve::serve(listener, api, stop).await;
    Ok(())
}

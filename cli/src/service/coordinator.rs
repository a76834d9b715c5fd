//! `maestro coordinator` as a service: folds its share of the shards, and serves the API where it
//! is told an address.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::key::home::Home;
use maestro_evidence::secret::kek::{Kek, Several};
use maestro_evidence::secret::key_file::KeyFile;
use maestro_evidence::secret::service;
use maestro_server::api::serve;
use maestro_server::app::secrets::Keyring;
use maestro_server::background::retention::{CALLS_MIN, DECISIONS_MIN, Keep};
use maestro_server::coordinator::{self, CoordinatorConfig};
use maestro_server::notary::keys::Keys;
use maestro_server::routing;
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;
use maestro_telemetry::metrics::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::api;
use super::bus::Reach;
use super::passphrase;
use crate::env_vars;
use crate::error::Error;
use crate::view::duration;

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
    /// The file of key-encryption keys that secrets are kept by, as `maestro secrets keys init` makes it.
    #[arg(long, env = env_vars::SECRETS_KEY_FILE, value_name = "FILE")]
    secrets_key_file: Option<PathBuf>,
    /// The key of AWS KMS that secrets are kept by, by its ARN: of the spec SYMMETRIC_DEFAULT. With a
    /// file of keys besides, that one only unwraps, until `maestro secrets rewrap` is done.
    #[arg(long, env = env_vars::SECRETS_KMS_KEY, value_name = "ARN")]
    secrets_kms_key: Option<String>,
    /// How long decisions of the router are kept, at least 1h.
    #[arg(long, env = env_vars::KEEP_DECISIONS, default_value = "30d", value_name = "TIME", value_parser = keep_decisions)]
    keep_decisions: Duration,
    /// How long calls of models are kept, and so how far back costs can be summed up, at least 7d.
    #[arg(long, env = env_vars::KEEP_CALLS, default_value = "400d", value_name = "TIME", value_parser = keep_calls)]
    keep_calls: Duration,
    /// The directory of keys that sign the evidence of runs, as `maestro keys init` makes it; the
    /// passphrase is in MAESTRO_KEY_PASSPHRASE. Without it none is signed.
    #[arg(long, env = env_vars::KEYS, value_name = "DIRECTORY")]
    keys: Option<PathBuf>,
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
    let keys = config.keys.clone();
    let halt = stop.child_token();
    let mut folding = coordinator::start(config, halt.clone())
        .map_err(|source| Error::service("start the coordinator", source))?;
    let folding = async {
        let folded = folding.ended().await;
        halt.cancel();
        folded.map_err(|source| Error::service("go on as coordinator", source))
    };
    let serving = async {
        let served = serve_api(&settings, (metrics, keys), halt.clone()).await;
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
        keys: keys(settings)?,
        keep: Keep { decisions: settings.keep_decisions, calls: settings.keep_calls },
        metrics,
    })
}

/// The keys that sign, where a directory of them is named.
fn keys(settings: &Settings) -> Result<Option<Keys>, Error> {
    let Some(directory) = &settings.keys else { return Ok(None) };
    let home = Home::at(directory);
    // One that AWS KMS keeps needs none; a next one may.
    let passphrase = match (passphrase::signing(), home.wants_passphrase()) {
        (Err(_), Ok(false)) => Zeroizing::default(),
        (passphrase, _) => passphrase?,
    };
    home.signer(&passphrase).map_err(|source| Error::service("open the key that signs", source))?;
    Ok(Some(Keys::of(home, passphrase)))
}

fn keep_decisions(text: &str) -> Result<Duration, String> {
    at_least(text, DECISIONS_MIN, "1h")
}

fn keep_calls(text: &str) -> Result<Duration, String> {
    at_least(text, CALLS_MIN, "7d")
}

fn at_least(text: &str, least: Duration, spoken: &str) -> Result<Duration, String> {
    let time = duration::parse(text)?;
    if time >= least {
        Ok(time)
    } else {
        Err(format!("{text} is too short; expected at least {spoken}"))
    }
}

/// Serves the API where an address is given; waits for the end where none is.
async fn serve_api(
    settings: &Settings,
    (metrics, keys): (Metrics, Option<Keys>),
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
        keys,
        keyring: keyring(
            settings.secrets_kms_key.as_deref(),
            settings.secrets_key_file.as_deref(),
        )?,
    };
    let api = api::open(parts, &stop).await?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::System { action: "listen for the API", source })?;
    tracing::info!(%address, "the API takes requests");
    serve::serve(listener, api, stop).await;
    Ok(())
}

/// A file that holds no keys is found when the server starts, and not when somebody needs one.
fn keyring(kms: Option<&str>, file: Option<&Path>) -> Result<Keyring, Error> {
    let mut places: Vec<Arc<dyn Kek>> = Vec::new();
    if let Some(arn) = kms {
        places.push(service::of_kms(arn).map_err(Error::KeyFile)?);
    }
    if let Some(file) = file {
        KeyFile::ids(file).map_err(Error::KeyFile)?;
        places.push(Arc::new(KeyFile::at(file)));
    }
    let mut places = places.into_iter();
    let first = places.next();
    Ok(first.map_or_else(Keyring::default, |first| {
        Keyring::of(Arc::new(Several::of(first, places.collect())))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_too_short_is_refused_with_the_least() {
        assert_eq!(keep_calls("400d"), Ok(Keep::default().calls));
        assert_eq!(keep_decisions("30d"), Ok(Keep::default().decisions));
        assert!(keep_calls("3d").unwrap_err().contains("at least 7d"));
        assert!(keep_decisions("0").unwrap_err().contains("at least 1h"));
        assert!(keep_decisions("long").is_err());
    }
}

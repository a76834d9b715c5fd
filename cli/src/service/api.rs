//! The API over a bus, a database and object storage, and the token that it begins with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::store::ArtifactStore;
use maestro_schemas::id::TokenId;
use maestro_server::api::role::Role;
use maestro_server::api::{Api, admit};
use maestro_server::app::App;
use maestro_server::app::bus::Bus;
use maestro_server::app::secrets::Keyring;
use maestro_server::notary::keys::Keys;
use maestro_server::promotion::line::Line;
use maestro_server::routing::{self, Routing};
use maestro_server::store::token::{self, TokenRow};
use maestro_server::store::{self, connect, shard};
use maestro_server::{intake, rpc};
use maestro_streams::connect::{ConnectOptions, Connection};
use maestro_telemetry::metrics::Metrics;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// Connections for requests that come together.
const CONNECTIONS: u32 = 8;
/// For a coordinator to take its first shard.
const OWNER_WAIT: Duration = Duration::from_secs(10);
const OWNER_LOOK: Duration = Duration::from_millis(10);

/// What an API is over.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The bus.
    pub bus: ConnectOptions,
    /// The database.
    pub database_url: &'a str,
    /// Bytes by digest.
    pub objects: ArtifactStore,
    /// What is counted.
    pub metrics: Metrics,
    /// Where the router finds what it is told.
    pub router: routing::Options,
    /// What signs promotions; absent where nothing is signed.
    pub keys: Option<Keys>,
    /// What wraps the keys of secrets.
    pub keyring: Keyring,
}

/// Connects an API, which takes no requests yet, and opens the door for jobs by subject and for
/// questions to the router and for secrets, which do until `stop`.
pub async fn open(parts: Parts<'_>, stop: &CancellationToken) -> Result<Api, Error> {
    let Parts { bus, database_url, objects, metrics, router, keys, keyring } = parts;
    let unreachable = |source| Error::service("reach the bus for the API", source);
    let connection = Connection::open(bus).await.map_err(unreachable)?;
    let bus = Bus::open(connection).await.map_err(unreachable)?;
    let options = connect::options(database_url)
        .map_err(|source| Error::service("reach the database for the API", source))?;
    let pool = connect::pool(options, CONNECTIONS);
    let routing = Routing::start(router, pool.clone(), metrics.clone(), stop.clone());
    let asked = rpc::route::run(bus.connection().clone(), routing.clone(), stop.clone());
    tokio::spawn(async move {
        if let Err(error) = asked.await {
            tracing::error!(%error, "questions to the router cannot be heard");
        }
    });
    let (bus, proofs) = (Arc::new(bus), Line::default());
    let app = App { pool, bus, objects, routing, keys, proofs, keyring };
    let asked = rpc::secrets::run(app.clone(), stop.clone());
    tokio::spawn(async move {
        if let Err(error) = asked.await {
            tracing::error!(%error, "questions for secrets cannot be heard");
        }
    });
    let door = intake::run(app.clone(), stop.clone());
    tokio::spawn(async move {
        if let Err(error) = door.await {
            tracing::error!(%error, "jobs by subject cannot be read");
        }
    });
    Ok(Api::new(app, metrics))
}

/// Waits, for a while, until a coordinator has a shard: what workers say before is heard by nobody,
/// and they say what they serve only now and then.
pub async fn until_owned(database_url: &str) -> Result<(), Error> {
    let options = connect::options(database_url)
        .map_err(|source| Error::service("reach the database", source))?;
    let pool = connect::pool(options, 1);
    let until = Instant::now() + OWNER_WAIT;
    while Instant::now() < until {
        let shards = shard::list(&pool)
            .await
            .map_err(|source| Error::service("ask for the shards", source))?;
        if shards.iter().any(|lease| lease.owner.is_some() && !lease.is_free) {
            break;
        }
        sleep(OWNER_LOOK).await;
    }
    pool.close().await;
    Ok(())
}

/// Brings the tables to this build's form, and makes `secret` the token of an admin of every
/// project. Doing it again changes nothing.
pub async fn admit_admin(database_url: &str, name: &str, secret: &str) -> Result<(), Error> {
    let failed = |source: sqlx::Error| Error::service("reach the database", source);
    let options = connect::options(database_url)
        .map_err(|source| Error::service("reach the database", source))?;
    let mut conn = options.connect().await.map_err(failed)?;
    store::migrate(&mut conn).await.map_err(|source| Error::service("make the tables", source))?;
    let roles = BTreeMap::from([("*".to_owned(), Role::Admin.as_str().to_owned())]);
    let row = TokenRow { id: TokenId::generate(), name: name.to_owned(), roles };
    token::store(&mut conn, &row, admit::hash(secret))
        .await
        .map_err(|source| Error::service("keep the API token", source))?;
    conn.close().await.map_err(failed)
}

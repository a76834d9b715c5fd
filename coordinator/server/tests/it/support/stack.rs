//! An API in front of a real database and a real bus, with or without a coordinator behind.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::secret::key_file::KeyFile;
use maestro_evidence::store::ArtifactStore;
use maestro_schemas::id::TokenId;
use maestro_server::api::{Api, admit, serve};
use maestro_server::app::App;
use maestro_server::app::bus::Bus;
use maestro_server::app::secrets::Keyring;
use maestro_server::background::retention::Keep;
use maestro_server::coordinator::{self, CoordinatorConfig};
use maestro_server::notary::keys::Keys;
use maestro_server::promotion::line::Line;
use maestro_server::routing::{self, Routing};
use maestro_server::rpc;
use maestro_server::store::token::{self, TokenRow};
use maestro_streams::ensure;
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;
use maestro_telemetry::metrics::Metrics;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::nats::Nats;
use super::postgres::Database;
use super::rows;

pub struct Stack {
    pub database: Database,
    pub nats: Nats,
    pub objects: ArtifactStore,
    pub token: String,
    pub http: reqwest::Client,
    pub address: String,
    pub key_file: PathBuf,
    pub proofs: Line,
    _directory: tempfile::TempDir,
    _stop: DropGuard,
}

impl Stack {
    /// Rows are the test's to write; shard 0 is taken under epoch 1.
    pub async fn without_coordinator() -> Self {
        let database = rows::laid_out().await;
        let nats = Nats::start();
        let connection = nats.connect(&Role::Coordinator).await;
        ensure::ensure(&connection, &Topology::default().streams()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self::over(
            database,
            nats,
            directory,
            (routing::Options::default(), CancellationToken::new()),
        )
        .await
    }

    /// The same, with the list of these keys.
    pub async fn with_keys(keys: Keys) -> Self {
        let (database, nats) = (rows::laid_out().await, Nats::start());
        let directory = tempfile::tempdir().unwrap();
        let of = (routing::Options::default(), CancellationToken::new());
        Self::keeping(Some(keys), (database, nats), directory, of).await
    }

    /// The same, with a router that reads these files.
    pub async fn with_router(router: routing::Options) -> Self {
        let database = rows::laid_out().await;
        let nats = Nats::start();
        let connection = nats.connect(&Role::Coordinator).await;
        ensure::ensure(&connection, &Topology::default().streams()).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self::over(database, nats, directory, (router, CancellationToken::new())).await
    }

    /// A coordinator folds what is submitted; there are no workers.
    pub async fn with_coordinator() -> Self {
        Self::with_coordinator_of(None).await
    }

    /// The same; the coordinator has these keys, and the API has none.
    pub async fn with_coordinator_of(keys: Option<Keys>) -> Self {
        let (database, nats) = (Database::new().await, Nats::start());
        let (directory, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        let config = CoordinatorConfig {
            name: "one".to_owned(),
            bus: nats.options(&Role::Coordinator),
            database_url: database.url.clone(),
            store: ArtifactStore::local(directory.path()).unwrap(),
            topology: Topology::default(),
            keep: Keep::default(),
            keys,
            metrics: Metrics::new(),
        };
        coordinator::start(config, stop.clone()).unwrap();
        let stack =
            Self::over(database, nats, directory, (routing::Options::default(), stop)).await;
        stack.until_ready().await;
        stack
    }

    async fn over(
        database: Database,
        nats: Nats,
        directory: tempfile::TempDir,
        of: (routing::Options, CancellationToken),
    ) -> Self {
        Self::keeping(None, (database, nats), directory, of).await
    }

    async fn keeping(
        keys: Option<Keys>,
        (database, nats): (Database, Nats),
        directory: tempfile::TempDir,
        (router, stop): (routing::Options, CancellationToken),
    ) -> Self {
        let objects = ArtifactStore::local(directory.path()).unwrap();
        let bus = Bus::open(nats.connect(&Role::Api).await).await.unwrap();
        let pool = database.pool();
        let metrics = Metrics::new();
        let key_file = directory.path().join("secrets.key");
        KeyFile::make(&key_file).unwrap();
        let proofs = Line::default();
        let keyring = Keyring::of(Arc::new(KeyFile::at(&key_file)));
        let routing = Routing::start(router, pool.clone(), metrics.clone(), stop.clone());
        let asked = rpc::route::run(bus.connection().clone(), routing.clone(), stop.clone());
        tokio::spawn(asked);
        let app = App {
            pool,
            bus: Arc::new(bus),
            objects: objects.clone(),
            routing,
            keys,
            proofs: proofs.clone(),
            keyring,
        };
        tokio::spawn(rpc::secrets::run(app.clone(), stop.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve::serve(listener, Api::new(app, metrics), stop.clone()));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let mut stack = Self {
            database,
            nats,
            objects,
            token: String::new(),
            http,
            address,
            key_file,
            proofs,
            _directory: directory,
            _stop: stop.drop_guard(),
        };
        stack.token = stack.new_token(&[("demo", "admin")]).await;
        stack
    }

    async fn until_ready(&self) {
        for _ in 0..600 {
            if self
                .request(Method::GET, "/readyz")
                .send()
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the api is not ready after 30 s");
    }

    pub async fn new_token(&self, roles: &[(&str, &str)]) -> String {
        let secret = admit::new_secret();
        let roles = roles.iter().map(|(project, role)| ((*project).to_owned(), (*role).to_owned()));
        let row = TokenRow {
            id: TokenId::generate(),
            name: "ada".to_owned(),
            roles: roles.collect::<BTreeMap<_, _>>(),
        };
        let mut conn = self.database.conn().await;
        // A stack whose coordinator is still at it has no tables yet.
        maestro_server::store::migrate(&mut conn).await.unwrap();
        token::store(&mut conn, &row, admit::hash(&secret)).await.unwrap();
        secret
    }

    /// A request with the stack's own token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.address)).bearer_auth(&self.token)
    }

    /// Gets a document.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        read(answer, StatusCode::OK).await
    }

    /// Posts a document.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).json(body).send().await.unwrap()
    }
}

/// Reads an answer of this status.
pub async fn read<T: DeserializeOwned>(answer: Response, status: StatusCode) -> T {
    let found = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

//! Registries of containers: Debian's docker-registry, a process for each test, and one in this process
//! that lists what goes with an image. Before the latter, a door that asks for tokens or meddles.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, LINK, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ferro_blob_store::InMemoryBlobStore;
use ferro_oci_server::{AppState, InMemoryRegistryMeta, router};
use maestro_cli::local::child::{self, Child, Plan, Spawn};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::plain::free_port;

const START_MAX: Duration = Duration::from_secs(30);
const STOP: Plan = &[(Signal::SIGKILL, Duration::from_secs(5))];
/// `maestro:loopback`, as htpasswd writes it.
const HTPASSWD: &str = "maestro:$2b$04$WYEX4SfhM.A8hrGZqVURue.vXUrDADfCXjU.BhJNwWAvCuXs/R6ke\n";
/// The same, as a Docker `config.json` has it.
pub const AUTH: &str = "bWFlc3Rybzpsb29wYmFjaw==";
const TOKEN: &str = "a-token-of-the-test";

/// Where the programs of the tests' peers are.
pub fn peer(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
    let path = root.join(".tools/peers/bin").join(name);
    assert!(path.is_file(), "{name} is missing; `scripts/get-tools.sh --peers` gets it");
    path
}

/// Debian's docker-registry; it lists nothing that goes with an image. It ends when it is dropped.
pub struct Debians {
    /// Its host and port.
    pub address: String,
    /// Where it keeps blobs.
    pub data: PathBuf,
    _child: Child,
    _dir: TempDir,
}

impl Debians {
    /// Starts one that takes anybody, or only who knows the password.
    pub async fn start(is_closed: bool) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (data, config) = (dir.path().join("data"), dir.path().join("config.yml"));
        let address = format!("127.0.0.1:{}", free_port().await);
        let mut text = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": data}},
            "http": {"addr": address},
        });
        if is_closed {
            let file = dir.path().join("htpasswd");
            fs::write(&file, HTPASSWD).expect("written");
            text["auth"] = json!({"htpasswd": {"realm": "test", "path": file}});
        }
        // Every JSON is YAML.
        fs::write(&config, text.to_string()).expect("written");
        let mut argv: Vec<OsString> = child::dies_with_us("KILL");
        argv.extend([peer("docker-registry").into(), "serve".into(), config.into()]);
        let log = dir.path().join("registry.log");
        let variables = Vec::new();
        let spawn =
            Spawn { name: "docker-registry", argv, log, variables, stop: STOP, abandon: STOP };
        let child = Child::spawn(spawn).expect("a process");
        let registry = Self { address, data, _child: child, _dir: dir };
        registry.takes_requests().await;
        registry
    }

    async fn takes_requests(&self) {
        let deadline = Instant::now() + START_MAX;
        let url = format!("http://{}/v2/", self.address);
        let client = crate::plain::client();
        while client.get(&url).send().await.is_err() {
            assert!(Instant::now() < deadline, "it takes no requests within {START_MAX:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What stands before a registry of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Nothing.
    Open,
    /// It asks for a token of its own token server, which asks for the password.
    Tokens,
    /// It asks for a token too, and this one gives none to whoever wants to push.
    Readers,
    /// It lists nothing, and somebody else writes the list just after each of the first three times.
    Meddling,
    /// It lists what goes with an image two at a time.
    Pages,
}

/// A registry that lists what goes with an image. It ends when it is dropped.
pub struct Listing {
    /// Its host and port.
    pub address: String,
    serving: JoinHandle<()>,
}

#[derive(Clone)]
struct Gate {
    door: Door,
    address: String,
    meddled: Arc<AtomicUsize>,
    client: reqwest::Client,
}

impl Listing {
    /// Starts one.
    pub async fn start(door: Door) -> Self {
        let state = AppState::new(
            Arc::new(InMemoryBlobStore::new()),
            Arc::new(InMemoryRegistryMeta::new()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let client = crate::plain::client();
        let gate = Gate { door, address: address.clone(), meddled: Arc::default(), client };
        let app: Router =
            router(state).layer(from_fn_with_state(gate, at_the_door)).route("/token", get(token));
        let serving = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("it serves");
        });
        Self { address, serving }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn token(uri: Uri, headers: HeaderMap) -> Response {
    let query = uri.query().unwrap_or_default();
    if query.contains("service=readers") && query.contains("push") {
        return (StatusCode::FORBIDDEN, "only to read").into_response();
    }
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if shown == Some(&format!("Basic {AUTH}")) {
        return axum::Json(json!({"token": TOKEN})).into_response();
    }
    (StatusCode::UNAUTHORIZED, "no").into_response()
}

async fn at_the_door(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.door {
        Door::Open => next.run(request).await,
        Door::Tokens | Door::Readers => {
            let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            if shown == Some(&format!("Bearer {TOKEN}")) {
                return next.run(request).await;
            }
            let service = if gate.door == Door::Readers { "readers" } else { "test" };
            let realm = format!("http://{}/token", gate.address);
            let realm = format!(r#"Bearer realm="{realm}",service="{service}""#);
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, realm)]).into_response()
        }
        Door::Meddling => meddle(gate, request, next).await,
        Door::Pages => paged(request, next).await,
    }
}

/// Lists nothing, and writes an empty list over the first three that come, as one would who had read
/// before and writes after.
async fn meddle(gate: Gate, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if path.contains("/referrers/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let is_list = request.method() == Method::PUT && path.contains("/manifests/sha256-");
    let is_ours = request.headers().contains_key("x-meddler");
    let mut response = next.run(request).await;
    response.headers_mut().remove("OCI-Subject");
    if is_list && !is_ours && gate.meddled.fetch_add(1, Ordering::SeqCst) < 3 {
        let kind = "application/vnd.oci.image.index.v1+json";
        let empty = json!({"schemaVersion": 2, "mediaType": kind, "manifests": []}).to_string();
        let url = format!("http://{}{path}", gate.address);
        let put = gate.client.put(url).header("content-type", kind).header("x-meddler", "1");
        let answer = put.body(empty).send().await.expect("answered");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
    response
}

/// Gives two entries of a list, and says where the next are.
async fn paged(request: Request, next: Next) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().map(str::to_owned));
    let response = next.run(request).await;
    if !path.contains("/referrers/") || !response.status().is_success() {
        return response;
    }
    let begin: usize = query
        .and_then(|query| query.strip_prefix("from=").and_then(|from| from.parse().ok()))
        .unwrap_or_default();
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let mut index: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let all = index["manifests"].as_array().cloned().unwrap_or_default();
    let page: Vec<_> = all.iter().skip(begin).take(2).cloned().collect();
    if begin + page.len() < all.len() {
        let link = format!("<{path}?from={}>; rel=\"next\"", begin + page.len());
        parts.headers.insert(LINK, link.parse().expect("a header"));
    }
    index["manifests"] = page.into();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(index.to_string()))
}

/// A server that answers everything alike: what a registry must not be.
pub async fn answering(status: StatusCode, headers: HeaderMap, body: Bytes) -> Listing {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let app = Router::new().fallback(move || async move { (status, headers, Body::from(body)) });
    let serving = tokio::spawn(async move {
        axum::serve(listener, app).await.expect("it serves");
    });
    Listing { address, serving }
}

//! Images of containers against registries, buildah and skopeo: what others read is what we wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use maestro_build::container::credentials::Credentials;
use maestro_build::container::registry::{
    self, Attachment, Client, Repository, attach, attached, pull, referrers,
};
use maestro_build::{BuildPool, Settings};
use maestro_evidence::image::{Layout, Reference};
use maestro_evidence::store::ArtifactStore;
use maestro_evidence::tree::{self, Limits};
use maestro_kit::account::Account;
use maestro_kit::action::{Execution, Handler as _};
use maestro_kit::ledger::Ledger;
use maestro_kit::log::LogSink;
use maestro_kit::redact::Redactor;
use maestro_kit::router::RouterClient;
use maestro_kit::scratch::Scratch;
use maestro_kit::secrets::Secrets;
use maestro_schemas::artifact::Artifact;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::ExecutionId;
use maestro_schemas::outcome::{Failure, FailureClass, Outcome, Outputs};
use maestro_schemas::plan::Workspace;
use maestro_schemas::task::{Task, TaskInput};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::registries::{AUTH, Debians, Door, Listing, answering, peer};
use crate::stage::task;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The build pool, a store, and a directory that steps begin with.
pub struct Bench {
    dir: TempDir,
    pub store: ArtifactStore,
    pool: BuildPool,
}

/// How a step ended.
pub struct Ended {
    outcome: Outcome,
    pub log: String,
}

impl Bench {
    /// With credentials for a registry, or without.
    pub fn new(registry: Option<(&str, &str)>) -> Self {
        Self::with(registry, |_, settings| BuildPool::new(settings))
    }

    /// The same, with a pool that is made of its directory and of what its host gives.
    pub fn with(
        registry: Option<(&str, &str)>,
        made: impl FnOnce(&Path, Settings) -> BuildPool,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let buildah = peer("buildah");
        let peers = buildah.parent().expect("a directory").display().to_string();
        let path = std::env::var("PATH").unwrap_or_default();
        let variables = [("PATH".to_owned(), format!("{peers}:{path}"))];
        let file = registry.map(|(registry, auth)| {
            let file = dir.path().join("config.json");
            let text = json!({"auths": {registry: {"auth": auth}}}).to_string();
            fs::write(&file, text).expect("written");
            file
        });
        let settings = Settings::from_variables(variables).with_registry_auth(file);
        let store = ArtifactStore::local(dir.path().join("store")).expect("a store");
        Self { pool: made(dir.path(), settings), store, dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file of the directory that steps begin with.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("begin").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    pub async fn step(&self, with: Value) -> Task {
        fs::create_dir_all(self.path("begin")).expect("made");
        let taken =
            tree::snapshot(&self.store, &self.path("begin"), |_, _| true, Limits::default())
                .await
                .expect("a snapshot");
        let workspace = Workspace::Tree { digest: taken.stored.digest };
        let pool = maestro_build::POOL.parse().expect("a name");
        Task { workspace, pool, ..task("container.build", with) }
    }

    pub async fn carry_out(&self, task: Task) -> Ended {
        let id = ExecutionId::generate();
        let (redactor, ledger) = (Redactor::default(), Ledger::default());
        let log = LogSink::kept(self.store.clone(), redactor.clone());
        let execution = Execution {
            account: Account::alone(&task, id, ledger.clone()),
            task: Arc::new(task),
            id,
            delivered: 1,
            stop: CancellationToken::new(),
            secrets: Secrets::new(),
            redactor,
            log: log.clone(),
            store: self.store.clone(),
            ledger,
            router: RouterClient::nobody(),
            scratch: Scratch::below(self.dir.path(), id),
            beside: TaskTracker::new(),
        };
        let outcome = self.pool.carry_out(execution).await;
        let kept = log.finish().await.expect("a log");
        let text = self.store.get(kept.digest, 1 << 20).await.expect("a log");
        Ended { outcome, log: String::from_utf8(text.to_vec()).expect("text") }
    }

    pub async fn build(&self, with: Value) -> Ended {
        let step = self.step(with).await;
        self.carry_out(step).await
    }

    /// Takes an image's layout out of the store and reads all of it.
    async fn taken(&self, artifacts: &[Artifact], name: &str) -> Layout {
        let tree = tree::get(&self.store, artifacts[1].digest, Limits::default());
        let path = self.path(name);
        fs::create_dir(&path).expect("made");
        let tree = tree.await.expect("a tree");
        tree::materialise(&self.store, tree, &path, Limits::default()).await.expect("written");
        let layout = Layout::open(&path).expect("a layout");
        layout.verify(None).expect("true");
        layout
    }
}

impl Ended {
    pub fn success(&self) -> (&Outputs, &[Artifact]) {
        match &self.outcome {
            Outcome::Succeeded { outputs, artifacts } => (outputs, artifacts),
            other => panic!("not a success: {other:?}\n{}", self.log),
        }
    }

    fn digest(&self) -> Digest {
        self.success().0["digest"].as_str().expect("text").parse().expect("a digest")
    }

    pub fn failure(&self) -> &Failure {
        match &self.outcome {
            Outcome::Failed { failure, .. } => failure,
            other => panic!("not a failure: {other:?}"),
        }
    }
}

fn repository(address: &str, auth: Option<&Path>) -> Repository {
    let credentials = Credentials::read(auth).expect("credentials");
    let reference: Reference = format!("{address}/team/service").parse().expect("a reference");
    let client = Client::new(credentials).expect("a client");
    client.repository(&reference).expect("a repository")
}

/// Pushes by a step, pulls what was pushed, and pushes again.
async fn goes_there_and_back(address: &str, auth: Option<&str>) {
    let bench = Bench::new(auth.map(|auth| (address, auth)));
    bench.file("dist/main.js", "1");
    let with = json!({
        "registry": format!("{address}/team"), "image": "service", "tags": ["1.0", "latest"],
        "entrypoint": ["/app/main.js"], "files": {"dist": "/app"},
        "push": if auth.is_some() { Value::Null } else { json!(true) },
    });
    let ended = bench.build(with.clone()).await;
    let (outputs, artifacts) = ended.success();
    assert_eq!(outputs["pushed"], json!(true));
    for tag in ["1.0", "latest"] {
        let line = format!("pushed {address}/team/service:{tag}@{}", ended.digest());
        assert!(ended.log.contains(&line), "{line}: {}", ended.log);
    }
    let file = auth.map(|_| bench.path("config.json"));
    let there = repository(address, file.as_deref());
    for (name, path) in [("1.0", "by-tag"), (&*ended.digest().to_string(), "by-digest")] {
        let built = pull(&there, name, None, &bench.path(path)).await.expect("pulled");
        assert_eq!(built.manifest.digest, ended.digest());
        Layout::open(&bench.path(path)).expect("a layout").verify(None).expect("true");
    }
    let layout = bench.taken(artifacts, "layout").await;
    let manifest = layout.image(None).expect("an image").descriptor;
    let again = registry::push(&there, &layout, &manifest, &["1.0".into()]).await.expect("pushed");
    assert_eq!((again.sent, again.present), (0, 2), "what is there is not sent again");
    let ended = bench.build(with).await;
    assert_eq!(ended.digest(), manifest.digest, "the same step is the same image");
    for text in [auth, Some("loopback"), Some("a-token-of")].into_iter().flatten() {
        assert!(!ended.log.contains(text), "{}", ended.log);
    }
}

#[tokio::test]
async fn an_image_goes_to_a_registry_and_comes_back_the_same() {
    goes_there_and_back(&Debians::start(false).await.address, None).await;
    goes_there_and_back(&Listing::start(Door::Open).await.address, None).await;
}

#[tokio::test]
async fn a_registry_that_asks_is_shown_the_workers_credentials() {
    goes_there_and_back(&Debians::start(true).await.address, Some(AUTH)).await;
    goes_there_and_back(&Listing::start(Door::Tokens).await.address, Some(AUTH)).await;
}

#[tokio::test]
async fn a_registry_that_refuses_fails_the_step_and_nothing_is_said_to_be_pushed() {
    let (basic, tokens) = (Debians::start(true).await, Listing::start(Door::Tokens).await);
    for address in [&basic.address, &tokens.address] {
        for auth in [None, Some("bWFlc3Rybzp3cm9uZw==")] {
            let bench = Bench::new(auth.map(|auth| (address.as_str(), auth)));
            bench.file("a", "1");
            let ended = bench.build(json!({"registry": address, "push": true})).await;
            let failure = ended.failure();
            assert_eq!(failure.class, FailureClass::Permanent);
            assert!(failure.message.contains("MAE-7034"), "{}", failure.message);
            assert!(failure.message.contains("MAESTRO_REGISTRY_AUTH"), "{}", failure.message);
            assert!(!failure.message.contains("wrong"), "{}", failure.message);
            assert!(!ended.log.contains("pushed"), "{}", ended.log);
        }
    }
}

#[tokio::test]
async fn without_push_and_credentials_nothing_is_sent() {
    let registry = Listing::start(Door::Open).await;
    let bench = Bench::new(None);
    bench.file("a", "1");
    for with in [
        json!({"registry": registry.address, "image": "service"}),
        json!({"registry": registry.address, "image": "service", "push": false}),
    ] {
        let ended = bench.build(with).await;
        assert_eq!(ended.success().0["pushed"], json!(false));
        assert!(ended.log.contains("not pushed: "), "{}", ended.log);
    }
    let reference: Reference = format!("{}/service", registry.address).parse().expect("one");
    let client = Client::new(Credentials::default()).expect("a client");
    let there = client.repository(&reference).expect("a repository");
    pull(&there, "latest", None, &bench.path("x")).await.expect_err("nothing is there");
}

fn bundle(number: usize) -> Attachment {
    Attachment {
        bytes: Bytes::from(format!("{{\"number\":{number}}}")),
        artifact_type: BUNDLE.into(),
        annotations: BTreeMap::from([("dev.sigstore.bundle.content".into(), "x".into())]),
    }
}

/// Pushes an image, attaches `count` bundles at once, and finds them all.
async fn attaches(address: &str, count: usize, is_listed: bool) {
    let bench = Bench::new(None);
    bench.file("a", "1");
    let registry = format!("{address}/team");
    let with = json!({"registry": registry, "image": "service", "push": true});
    let image = bench.build(with).await.digest();
    let there = Arc::new(repository(address, None));
    let all = (0..count).map(|number| {
        let there = Arc::clone(&there);
        tokio::spawn(async move { attach(&there, image, &bundle(number)).await })
    });
    for attaching in all.collect::<Vec<_>>() {
        let done = attaching.await.expect("it ran").expect("attached");
        assert_eq!(done.listed, is_listed, "{address}");
    }
    attach(&there, image, &bundle(0)).await.expect("attached again");
    let found = referrers(&there, image, Some(BUNDLE)).await.expect("a list");
    assert_eq!(found.len(), count, "each once: {found:?}");
    let mut bytes = Vec::new();
    for entry in &found {
        bytes.push(attached(&there, entry, 1 << 20).await.expect("bytes"));
    }
    bytes.sort();
    assert_eq!(bytes, (0..count).map(|number| bundle(number).bytes).collect::<Vec<_>>());
    assert!(referrers(&there, image, Some("other/type")).await.expect("a list").is_empty());
    let missing = attach(&there, Digest::of(b"nothing"), &bundle(0)).await;
    assert!(missing.expect_err("refused").to_string().contains("no such image"));
}

#[tokio::test]
async fn what_goes_with_an_image_is_found_where_the_registry_lists_it() {
    attaches(&Listing::start(Door::Open).await.address, 4, true).await;
}

#[tokio::test]
async fn what_goes_with_an_image_is_found_where_the_registry_lists_it_by_pages() {
    attaches(&Listing::start(Door::Pages).await.address, 5, true).await;
}

#[tokio::test]
async fn a_list_that_goes_on_elsewhere_or_without_end_or_is_too_long_is_refused() {
    let kind = "application/vnd.oci.image.index.v1+json";
    let entry = |number: usize| {
        let digest = Digest::of(&number.to_be_bytes());
        json!({"mediaType": kind, "digest": digest, "size": 1})
    };
    for (link, count, expected) in [
        (r#"<http://127.0.0.1:1/v2/x>; rel="next""#, 1, "at another registry"),
        (r#"<http://registry.example/v2/x>; rel="next""#, 1, "expected https"),
        (r#"<?again>; rel="next""#, 1, "more than 20 pages"),
        (r#"<?again>; rel="next""#, 501, "more than 1000 entries"),
        (r#"<?again>; rel="prev""#, 1_001, "more than 1000 entries"),
    ] {
        let all: Vec<Value> = (0..count).map(entry).collect();
        let body = json!({"schemaVersion": 2, "mediaType": kind, "manifests": all}).to_string();
        let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]);
        let server = answering(StatusCode::OK, headers, body.into()).await;
        let listing = referrers(&repository(&server.address, None), Digest::of(b"x"), None).await;
        let error = listing.expect_err("refused").to_string();
        assert!(error.contains(expected), "{link}: {error}");
    }
}

#[tokio::test]
async fn whoever_only_reads_asks_for_no_more() {
    let registry = Listing::start(Door::Readers).await;
    let bench = Bench::new(Some((&registry.address, AUTH)));
    let credentials = Credentials::read(Some(&bench.path("config.json"))).expect("credentials");
    let client = Client::new(credentials).expect("a client");
    let reference: Reference = format!("{}/service", registry.address).parse().expect("one");
    let reader = client.reader(&reference).expect("a repository");
    assert_eq!(reader.resolve("1.0").await.expect("an answer"), None);
    let writer = client.repository(&reference).expect("a repository");
    let error = writer.resolve("1.0").await.expect_err("refused");
    assert!(error.is_denial(), "{error}");
}

#[tokio::test]
async fn what_goes_with_an_image_is_found_where_the_registry_lists_nothing() {
    attaches(&Debians::start(false).await.address, 4, false).await;
}

#[tokio::test]
async fn an_entry_that_another_writer_took_away_is_written_again() {
    attaches(&Listing::start(Door::Meddling).await.address, 1, false).await;
}

#[tokio::test]
async fn a_registry_whose_storage_is_damaged_is_not_believed() {
    let registry = Debians::start(false).await;
    let bench = Bench::new(None);
    bench.file("a", "1");
    let name = format!("{}/team", registry.address);
    let with = json!({"registry": name, "image": "service", "push": true});
    let ended = bench.build(with).await;
    let layout = bench.taken(ended.success().1, "layout").await;
    let layer = layout.image(None).expect("an image").manifest.layers[0].digest.to_hex();
    let blob = registry.data.join("docker/registry/v2/blobs/sha256");
    let blob = blob.join(&layer[..2]).join(&layer).join("data");
    let mut bytes = fs::read(&blob).expect("a blob");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&blob, bytes).expect("written");
    let there = repository(&registry.address, None);
    let error = pull(&there, "latest", None, &bench.path("pulled")).await.expect_err("refused");
    assert!(error.to_string().contains("expected"), "{error}");
}

/// Asks a server for an image that it does not give.
async fn refusal_of(server: &Listing) -> registry::Error {
    let there = repository(&server.address, None);
    pull(&there, "x", None, Path::new("/nonexistent/x")).await.expect_err("refused")
}

#[tokio::test]
async fn a_hostile_answer_is_neither_read_to_its_end_nor_followed() {
    let endless = Bytes::from(vec![b' '; 6 << 20]);
    let big = answering(StatusCode::OK, HeaderMap::new(), endless.clone()).await;
    let error = refusal_of(&big).await.to_string();
    assert!(error.contains("more than 4194304 bytes"), "{error}");
    let away = HeaderValue::from_static("http://registry.example/v2/x");
    let headers = HeaderMap::from_iter([(axum::http::header::LOCATION, away)]);
    let moved = answering(StatusCode::TEMPORARY_REDIRECT, headers, Bytes::new()).await;
    let error = refusal_of(&moved).await;
    assert_eq!(error.code(), "MAE-7036", "{error}");
    let failing = answering(StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new(), endless).await;
    let error = refusal_of(&failing).await;
    assert!(error.is_transient() && error.to_string().len() < 1000, "{error}");
}

fn ran(command: &mut Command) -> String {
    let done = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
    String::from_utf8(done.stdout).expect("text")
}

#[tokio::test]
async fn skopeo_reads_our_layout_and_carries_it_to_a_registry_unchanged() {
    let registry = Debians::start(false).await;
    let bench = Bench::new(None);
    bench.file("a", "1");
    let ended = bench.build(json!({"tags": ["7"], "env": {"A": "b"}, "user": 1000})).await;
    let layout = bench.taken(ended.success().1, "layout").await;
    let policy = bench.file("policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    let from = format!("oci:{}:7", layout.path().display());
    let to = format!("docker://{}/team/service:7", registry.address);
    let mut skopeo = Command::new(peer("skopeo"));
    skopeo.args(["--policy", policy.to_str().expect("text"), "copy", "--dest-tls-verify=false"]);
    ran(skopeo.args([&from, &to]));
    let told = ran(Command::new(peer("skopeo")).args(["inspect", "--tls-verify=false", &to]));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["Digest"], json!(ended.digest()), "{told}");
    assert_eq!(told["Env"], json!(["A=b"]));
    let there = repository(&registry.address, None);
    let built = pull(&there, "7", None, &bench.path("pulled")).await.expect("pulled");
    assert_eq!(built.manifest.digest, ended.digest());
}

#[tokio::test]
async fn a_dockerfile_from_scratch_is_built_without_a_daemon_and_the_same_twice() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new(None);
        bench.file("Dockerfile", "FROM scratch\nARG V\nCOPY a /a\nENV V=$V\nCMD [\"/a\"]\n");
        bench.file("a", "1");
        let with = json!({"tags": ["1"], "build_args": {"V": 2}, "labels": {"x": "y"}});
        let ended = bench.build(with).await;
        let layout = bench.taken(ended.success().1, "layout").await;
        let process = layout.image(None).expect("an image").config.config.expect("a process");
        assert_eq!(process.cmd, Some(vec!["/a".to_owned()]));
        assert!(process.env.expect("variables").contains(&"V=2".to_owned()));
        assert_eq!(process.labels.expect("labels")["x"], "y");
        digests.push(ended.digest());
    }
    assert_eq!(digests[0], digests[1]);
}

/// A shell of this machine with its libraries, as an image.
async fn shell(bench: &Bench) -> Artifact {
    programs(bench, &["/bin/sh"]).await
}

/// Programs of this machine with their libraries, as an image.
pub async fn programs(bench: &Bench, names: &[&str]) -> Artifact {
    let mut files = serde_json::Map::new();
    let mut all = BTreeMap::new();
    for name in names {
        let program = fs::canonicalize(name).expect("a program");
        let libraries = ran(Command::new("ldd").arg(&program));
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
        all.extend(libraries.map(|library| (library.to_owned(), library.to_owned())));
        all.insert((*name).to_owned(), program.display().to_string());
    }
    for (index, (to, from)) in all.into_iter().enumerate() {
        let name = format!("parts/{index}");
        let path = bench.file(&name, fs::read(&from).expect("a library"));
        fs::set_permissions(&path, fs::metadata(from).expect("it").permissions()).expect("set");
        files.insert(name, json!(to));
    }
    let ended = bench.build(json!({"files": files, "env": {"PATH": "/bin"}})).await;
    fs::remove_dir_all(bench.path("begin")).expect("removed");
    ended.success().1[1].clone()
}

#[tokio::test]
async fn a_dockerfile_is_built_upon_our_own_layout_and_its_commands_run() {
    let bench = Bench::new(None);
    let base = shell(&bench).await;
    bench.file("Dockerfile", "FROM scratch\nRUN echo made > /made && test ! -e /etc/passwd-\n");
    let with = json!({"base": "base", "dockerfile": "Dockerfile"});
    let mut step = bench.step(with).await;
    step.inputs = vec![TaskInput { artifact: base, path: "base".into() }];
    let ended = bench.carry_out(step.clone()).await;
    let layout = bench.taken(ended.success().1, "layout").await;
    assert_eq!(layout.image(None).expect("an image").manifest.layers.len(), 2);
    bench.file("Dockerfile", "FROM scratch\nRUN echo told; exit 3\n");
    let failing = bench.step(json!({"base": "base", "dockerfile": "Dockerfile"})).await;
    let ended = bench.carry_out(Task { inputs: step.inputs, ..failing }).await;
    let failure = ended.failure();
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(ended.log.contains("told"), "{}", ended.log);
    assert!(failure.message.contains("exit status 3"), "{}", failure.message);
}

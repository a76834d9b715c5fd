use maestro_kit::evidence::image::{Layout, MANIFEST_MEDIA_TYPE};
use maestro_kit::evidence::tree::{self, Limits};
use maestro_schemas::artifact::{TREE_MEDIA_TYPE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::task::TaskInput;

use super::*;
use crate::container::credentials::Credentials;
use crate::container::registry::Client;

/// A step with two files in its workspace.
async fn container(bench: &Bench, with: Value) -> Task {
    let mut entries = Vec::new();
    for (path, text, executable) in [("dist/main.js", "1", false), ("run.sh", "2", true)] {
        let stored = bench.store.put(text).await.expect("stored");
        let kind = TreeEntryKind::File { digest: stored.digest, size: stored.size, executable };
        entries.push(TreeEntry { path: path.into(), kind });
    }
    let stored = tree::put(&bench.store, &Tree { entries }).await.expect("stored");
    let mut step = task("container.build", with);
    step.workspace = Workspace::Tree { digest: stored.digest };
    step
}

/// Takes an image's layout out of the store and reads all of it.
async fn taken(bench: &Bench, artifacts: &[Artifact], name: &str) -> Layout {
    let layout = artifacts.iter().find(|artifact| artifact.role == "image-layout");
    let digest = layout.expect("a layout").digest;
    let tree = tree::get(&bench.store, digest, Limits::default()).await.expect("a tree");
    let path = bench.path(name);
    std::fs::create_dir(&path).expect("made");
    tree::materialise(&bench.store, tree, &path, Limits::default()).await.expect("written");
    let layout = Layout::open(&path).expect("a layout");
    layout.verify(None).expect("true");
    layout
}

fn digest(outputs: &Outputs) -> Digest {
    outputs["digest"].as_str().expect("text").parse().expect("a digest")
}

#[tokio::test]
async fn an_image_is_kept_and_nothing_is_said_to_be_pushed_that_was_not() {
    let bench = Bench::new();
    let with = json!({"registry": "ghcr.io/intelgraph", "image": "service", "sign": true});
    let (outputs, artifacts) = success(bench.carry_out(container(&bench, with).await).await);
    let image = digest(&outputs);
    assert_eq!(outputs["reference"], json!(format!("ghcr.io/intelgraph/service@{image}")));
    assert_eq!((&outputs["pushed"], &outputs["tags"]), (&json!(false), &json!(["latest"])));
    let roles: Vec<_> =
        artifacts.iter().map(|kept| (kept.role.as_str(), kept.media_type.as_str())).collect();
    let expected = [("image", MANIFEST_MEDIA_TYPE), ("image-layout", TREE_MEDIA_TYPE)];
    assert_eq!(roles, expected);
    assert_eq!(artifacts[0].digest, image, "what is signed is the image's own digest");
    let bytes = bench.store.get(image, 1 << 20).await.expect("the manifest");
    assert_eq!(Digest::of(&bytes), image);
    let layout = taken(&bench, &artifacts, "layout").await;
    let config = layout.image(None).expect("an image").config.config.expect("a process");
    assert_eq!(config.working_dir.as_deref(), Some("/app"));
    let log = bench.log().await;
    for line in
        ["all files go to /app", "not pushed: no credentials for ghcr.io", "the coordinator signs"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
    assert!(!log.contains("\npushed"), "{log}");
}

#[tokio::test]
async fn the_same_step_makes_the_same_image_elsewhere() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let bench = Bench::new();
        let with = json!({"files": {"dist/**": "/srv"}, "entrypoint": ["/srv/main.js"]});
        let (outputs, _) = success(bench.carry_out(container(&bench, with).await).await);
        digests.push(digest(&outputs));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn what_an_image_is_made_of_is_kept_beside_it() {
    let bench = Bench::new();
    let lock = json!({ "name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {
        "": { "name": "app", "version": "1.0.0", "dependencies": { "ms": "^2.0.0" } },
        "node_modules/ms": { "version": "2.1.3", "license": "MIT" } } });
    let step = container(&bench, json!({"sbom": true, "files": {"**": "/app"}})).await;
    let Workspace::Tree { digest } = step.workspace else { panic!("a workspace of files") };
    let first = tree::get(&bench.store, digest, Limits::default()).await.expect("a tree");
    let stored = bench.store.put(lock.to_string()).await.expect("stored");
    let kind = TreeEntryKind::File { digest: stored.digest, size: stored.size, executable: false };
    let mut entries = first.entries;
    entries.push(TreeEntry { path: "package-lock.json".into(), kind });
    entries.sort();
    let workspace = tree::put(&bench.store, &Tree { entries }).await.expect("stored");
    let step = Task { workspace: Workspace::Tree { digest: workspace.digest }, ..step };
    let (_, artifacts) = success(bench.carry_out(step).await);
    let list = artifacts.iter().find(|artifact| artifact.role == "sbom").expect("an SBOM");
    let list = bench.store.get(list.digest, 1 << 20).await.expect("its bytes");
    let list: serde_json::Value = serde_json::from_slice(&list).expect("JSON");
    assert_eq!(list["metadata"]["component"]["type"], "container", "{list}");
    assert_eq!(list["components"][0]["purl"], "pkg:npm/ms@2.1.3", "{list}");
}

#[tokio::test]
async fn an_image_is_what_the_next_one_is_put_upon() {
    let bench = Bench::new();
    let with = json!({"files": {"run.sh": "/bin/run"}, "env": {"A": 1}, "layout": "out/image"});
    let mut first = container(&bench, with).await;
    first.outputs = vec![output("base", "out/image")];
    let (outputs, mut artifacts) = success(bench.carry_out(first).await);
    let base = artifacts.pop().expect("the declared layout");
    assert_eq!(base.digest, artifacts[1].digest, "it is the same layout");
    let with = json!({"base": "given", "files": {"dist": "/srv"}, "env": {"B": true}});
    let mut second = container(&bench, with).await;
    second.inputs = vec![TaskInput { artifact: base, path: "given".into() }];
    let (others, artifacts) = success(bench.carry_out(second.clone()).await);
    assert_ne!(digest(&outputs), digest(&others));
    let layout = taken(&bench, &artifacts, "layout").await;
    let image = layout.image(None).expect("an image");
    assert_eq!(image.manifest.layers.len(), 2);
    let env = image.config.config.and_then(|process| process.env).expect("variables");
    assert_eq!(env, ["A=1", "B=true"]);
    second.with = json!({"base": "given"}).to_string().into();
    let (_, artifacts) = success(bench.carry_out(second).await);
    let sizes: u64 = tree::get(&bench.store, artifacts[1].digest, Limits::default())
        .await
        .map(|tree| tree.entries.len() as u64)
        .expect("a tree");
    assert_eq!(sizes, 6, "two layers, and the base's own files are none of the image's");
}

#[tokio::test]
async fn what_cannot_be_built_is_refused_with_its_code_and_what_would_help() {
    let bench = Bench::new();
    for (with, code, says) in [
        (json!({"push": true}), "MAE-7030", "`registry: ghcr.io/me`"),
        (json!({"sbom": true, "files": ["run.sh"]}), "MAE-7025", "the image"),
        (json!({"base": "nothing"}), "MAE-7030", "no directory"),
        (json!({"base": "dist"}), "MAE-7031", "OCI image layout"),
        (json!({"base": "../.."}), "base", "leads out of the workspace"),
        (json!({"dockerfile": "Dockerfile"}), "MAE-7030", "no file"),
        (json!({"dockerfile": "run.sh", "cmd": ["x"]}), "MAE-7030", "say it in the Dockerfile"),
        (json!({"target": "x"}), "MAE-7030", "without a Dockerfile"),
        (json!({"files": ["none"]}), "MAE-7030", "`use`"),
        (json!({"platform": "windows"}), "MAE-7030", "linux/amd64"),
        (json!({"registry": "intelgraph"}), "MAE-7030", "ghcr.io"),
        (json!({"layout": "../x"}), "layout", "refused"),
        (json!({"regsitry": "x"}), "regsitry", "unknown field"),
    ] {
        let failure = permanent(bench.carry_out(container(&bench, with.clone()).await).await);
        let message = &failure.message;
        assert!(message.contains(code) && message.contains(says), "{with}: {message}");
    }
    for role in ["image", "image-layout"] {
        let mut step = container(&bench, json!({})).await;
        step.outputs = vec![output(role, "dist")];
        let failure = permanent(bench.carry_out(step).await);
        assert!(failure.message.contains("MAE-7030 artifacts"), "{}", failure.message);
    }
    let mut step = container(&bench, json!({})).await;
    step.env.insert("SOURCE_DATE_EPOCH".into(), "yesterday".into());
    let failure = permanent(bench.carry_out(step).await);
    assert!(failure.message.contains("SOURCE_DATE_EPOCH"), "{}", failure.message);
}

#[tokio::test]
async fn a_dockerfile_without_buildah_says_how_to_get_it() {
    let mut bench = Bench::new();
    let empty = bench.path("empty");
    let settings = Settings { path: empty.display().to_string(), ..Settings::default() };
    bench.pool = BuildPool::new(settings);
    let step = container(&bench, json!({"dockerfile": "run.sh"})).await;
    let failure = permanent(bench.carry_out(step).await);
    for part in ["MAE-7032", "buildah", "apt install buildah", "`files`"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_broken_file_of_credentials_is_told_without_what_it_holds() {
    let mut bench = Bench::new();
    let file = bench.path("config.json");
    std::fs::write(&file, r#"{"auths": {"ghcr.io": {"auth": "s3cret"}}}"#).expect("written");
    bench.pool = BuildPool::new(Settings::default().with_registry_auth(Some(file)));
    let step = container(&bench, json!({"registry": "ghcr.io/a"})).await;
    let failure = permanent(bench.carry_out(step).await);
    assert!(failure.message.contains("MAE-7033"), "{}", failure.message);
    assert!(failure.message.contains("ghcr.io"), "{}", failure.message);
    assert!(!failure.message.contains("s3cret"), "{}", failure.message);
}

#[tokio::test]
async fn a_registry_that_is_not_there_fails_the_step_for_another_try() {
    let bench = Bench::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = gone.local_addr().expect("an address").port();
    drop(gone);
    let with = json!({"registry": format!("127.0.0.1:{port}"), "push": true});
    let failure = failure(bench.carry_out(container(&bench, with).await).await);
    assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
    assert!(failure.message.contains("MAE-7035"), "{}", failure.message);
    assert!(!bench.log().await.contains("pushed"), "nothing was");
}

#[tokio::test]
async fn a_step_of_the_strict_pool_builds_no_dockerfile_whatever_it_says() {
    let bench = Bench::new();
    let mut step = container(&bench, json!({"dockerfile": "run.sh"})).await;
    step.pool = crate::STRICT_POOL.parse().expect("a name");
    let failure = permanent(bench.carry_out(step).await);
    for part in ["MAE-7030", "isolation: found strict", "Dockerfile"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_registry_that_answers_byte_by_byte_is_not_waited_for() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let dripping = tokio::spawn(async move {
        let mut clients = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            clients.spawn(async move {
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    asked.push(client.read_u8().await.expect("a request"));
                }
                let mut open = client.write_all(head).await;
                while open.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    open = client.write_all(b" ").await;
                }
            });
        }
    });
    let client = Client::new(Credentials::default()).expect("a client");
    let client = client.with_answer_max(Duration::from_millis(300));
    let reference = format!("{address}/service").parse().expect("a reference");
    let repository = client.reader(&reference).expect("a repository");
    let asking = tokio::time::timeout(Duration::from_secs(30), repository.resolve("latest"));
    let error = asking.await.expect("it is not waited for").expect_err("no answer");
    assert!(error.to_string().contains("takes longer than 300ms"), "{error}");
    dripping.abort();
}

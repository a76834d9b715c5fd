//! Evidence beside an image in its registry: attached by whoever built it, and verified by a stranger who
//! has nothing but the image's name and the root's fingerprint.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use maestro_build::container::credentials::Credentials;
use maestro_build::container::registry::{self, Attachment, Client};
use maestro_evidence::dsse::BUNDLE_MEDIA_TYPE as BUNDLE;
use maestro_evidence::key::ring::RING_TYPE as LIST;
use maestro_tests::harness::maestro;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::registries::{AUTH, Debians, Door, Listing};
use crate::verifiers::Scene;

fn pipeline(registry: &str) -> String {
    format!(
        r#"
name: app
stages:
  - name: build
    steps:
      - name: compile
        run: shell
        effect: pure
        with: {{ script: 'mkdir dist && echo hello > dist/hello' }}
        artifacts: {{ dist: dist }}
      - name: image
        run: container.build
        use: [{{ from: compile, artifact: dist }}]
        with:
          registry: {registry}/team
          image: app
          tags: ['1.0']
          files: [dist]
          push: true
"#
    )
}

/// A run whose image is in a registry, with the root of its stack's keys.
struct Built {
    scene: Scene,
    image: String,
    digest: String,
    root: String,
}

impl Built {
    fn in_registry(address: &str) -> Self {
        let scene = Scene::permitting();
        fs::write(scene.path("maestro.yaml"), pipeline(address)).expect("a file");
        scene.run(&["run"]);
        let outputs = scene.said(&["runs", "show", "last", "--json"]);
        let steps = outputs["steps"].as_array().expect("steps");
        let digest = steps[1]["outputs"]["digest"].as_str().expect("a digest").to_owned();
        let found = scene.said(&["verify", "last", "--json"]);
        let root = found["root"].as_str().expect("a root").to_owned();
        Self { scene, image: format!("{address}/team/app:1.0"), digest, root }
    }

    /// What somebody elsewhere finds out.
    fn asked(&self, words: &[&str]) -> Asked {
        let elsewhere = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(maestro());
        command.args(["verify", &self.image, "--json"]).args(words);
        command.current_dir(elsewhere.path()).stdin(Stdio::null());
        for name in ["MAESTRO_SERVER", "MAESTRO_TOKEN", "MAESTRO_PROJECT"] {
            command.env_remove(name);
        }
        let output = command.output().expect("it starts");
        let [said, error] = [output.stdout, output.stderr]
            .map(|text| String::from_utf8(text).expect("what is said is UTF-8"));
        Asked { code: output.status.code().unwrap_or(-1), said, error }
    }

    /// Makes keys of the stack's own anew.
    fn keys(&self, words: &[&str]) {
        let text = fs::read_to_string(self.scene.path(".maestro/credentials.json"));
        let all: Value = serde_json::from_str(&text.expect("credentials")).expect("JSON");
        let word = all["secrets"]["keys"].as_str().expect("a passphrase");
        let mut command = Command::new(maestro());
        command.arg("keys").args(words).arg("--keys").arg(self.scene.path(".maestro/keys"));
        command.env("MAESTRO_KEY_PASSPHRASE", word).env_remove("MAESTRO_ROOT_PASSPHRASE");
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The stack's list of keys as it is now, in a file of its own.
    fn list(&self, name: &str) -> String {
        let path = self.scene.path(name);
        fs::copy(self.scene.path(".maestro/keys/keys.json"), &path).expect("a file");
        path.display().to_string()
    }

    /// Somebody else attaches these, each of a type.
    fn is_given(&self, all: impl IntoIterator<Item = (&'static str, Vec<u8>)>) {
        let client = Client::new(Credentials::default()).expect("a client");
        let reference = self.image.parse().expect("a reference");
        let repository = client.repository(&reference).expect("a repository");
        let image = self.digest.parse().expect("a digest");
        for (artifact_type, bytes) in all {
            let artifact_type = artifact_type.to_owned();
            let attachment =
                Attachment { bytes: bytes.into(), artifact_type, annotations: BTreeMap::new() };
            let attaching = registry::attach(&repository, image, &attachment);
            Handle::current().block_on(attaching).expect("attached");
        }
    }

    fn attach(&self) -> Value {
        self.scene.said(&["evidence", "attach", &self.image, "--json"])
    }
}

/// How a command ended, and what it wrote where.
#[derive(Debug)]
struct Asked {
    code: i32,
    said: String,
    error: String,
}

impl Asked {
    /// What was found, where the command ended so.
    fn found(&self, code: i32) -> Value {
        assert_eq!(self.code, code, "{self:?}");
        serde_json::from_str(&self.said).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Nothing was found, for a reason that has all of these words.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, self.said.as_str()), (code, ""), "{self:?}");
        assert!(words.iter().all(|word| self.error.contains(word)), "{words:?}: {self:?}");
    }
}

fn is_verified_by_a_stranger(address: &str, is_listed: bool) {
    let built = Built::in_registry(address);
    let root = ["--root", &*built.root];
    built.asked(&root).refused(6, &["list of keys", "none is attached"]);
    built.asked(&[]).refused(2, &["give --root or --keys", "no list of keys is attached"]);

    built.scene.run(&["promote", &built.digest, "--to", "staging"]);
    for _ in 0..2 {
        let told = built.attach();
        assert_eq!(told["image"], built.digest.as_str(), "{told}");
        let counts = (&told["statements"], &told["listed"], &told["root_is_known"]);
        assert_eq!(counts, (&3.into(), &is_listed.into(), &false.into()), "{told}");
    }

    let said = built.asked(&root).found(0);
    assert_eq!(
        (&said["verified"], &said["image"]),
        (&true.into(), &built.digest.as_str().into()),
        "{said}"
    );
    assert_eq!((&said["root_is_known"], &said["statements"]), (&true.into(), &2.into()), "{said}");
    assert_eq!(said["promotions"][0]["environment"], "staging", "{said}");
    let of = |name: &str| -> Vec<Value> {
        said["chain"].as_array().expect("links").iter().map(|link| link[name].clone()).collect()
    };
    assert_eq!(of("made"), ["build/image#image", "build/compile#dist"], "{said}");
    assert_eq!((of("project"), of("pipeline")), (vec!["default".into(); 2], vec!["app".into(); 2]));

    asks_for_more_than_there_is(&built);
    let big = vec![b' '; (8 << 20) + 1];
    built.is_given([(BUNDLE, b"{}".to_vec()), (BUNDLE, big), (LIST, b"no list".to_vec())]);
    assert_eq!(built.asked(&root).found(0)["chain"], said["chain"], "others are passed over");
    knows_newer_keys(&built, &said);
    if is_listed {
        built.is_given((0..200).map(|number| (BUNDLE, format!("{number}").into_bytes())));
        built.asked(&root).refused(1, &["all that is attached", "more than 200 bundles"]);
    }
}

fn asks_for_more_than_there_is(built: &Built) {
    let other = format!("sha256:{}", "5".repeat(64));
    let attached = format!("those that are attached are of {}", built.root);
    built.asked(&["--root", &other]).refused(6, &[&other, &attached]);
    built.asked(&[]).refused(2, &["give --root or --keys", &built.root]);
    let expect = built.scene.path("expect.toml");
    let path = expect.display().to_string();
    for (text, expected) in [
        ("pipeline = \"another\"\n", Some("another")),
        ("promoted = [\"prod\"]\n", Some("may go to \"prod\"")),
        ("project = \"default\"\npromoted = [\"staging\"]\n", None),
    ] {
        fs::write(&expect, text).expect("a file");
        let asked = built.asked(&["--root", &built.root, "--expect", &path]);
        let said = asked.found(i32::from(expected.is_some()));
        let what = said["failures"][0]["what"].as_str().unwrap_or_default();
        assert!(expected.is_none_or(|expected| what.contains(expected)), "{said}");
    }
}

/// A list that is rotated counts once it is attached, and one that revokes where it is named.
fn knows_newer_keys(built: &Built, before: &Value) {
    let on = |said: &Value| said["keys_made_on"].as_str().expect("a date").to_owned();
    let first = built.list("first.json");
    let said = built.asked(&["--keys", &first]).found(0);
    assert_eq!((&said["root_is_known"], on(&said)), (&true.into(), on(before)), "{said}");

    built.keys(&["rotate"]);
    let second = built.list("second.json");
    let said = built.asked(&["--keys", &second]).found(0);
    let newer = on(&said);
    assert!(newer > on(before), "{said}");
    // Nothing was signed since, and the list that is attached is the one of now.
    assert_eq!(built.attach()["statements"], 3);
    for words in [["--root", &*built.root], ["--keys", &*first]] {
        let said = built.asked(&words).found(0);
        assert_eq!(on(&said), newer, "of {words:?} the newest counts");
    }
    let other = format!("sha256:{}", "5".repeat(64));
    built.asked(&["--keys", &first, "--root", &other]).refused(2, &[&built.root, &other]);

    built.keys(&["revoke", before["key"].as_str().expect("a key"), "--reason", "lost"]);
    let revoked = built.list("revoked.json");
    let said = built.asked(&["--keys", &revoked]).found(1);
    assert!(said["failures"].to_string().contains("was revoked at"), "{said}");
    built.asked(&["--root", &built.root]).found(0);
    let refused = built.scene.refused(&["evidence", "attach", &built.image]);
    assert!(refused.contains("was revoked at") && refused.contains("only the list"), "{refused}");
    let said = built.asked(&["--root", &built.root]).found(1);
    assert!(said["failures"].to_string().contains("was revoked at"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_of_a_run_that_ended_a_moment_ago_is_waited_for() {
    let registry = Debians::start(false).await;
    let address = registry.address.clone();
    let at_once = move || {
        let scene = Scene::bare();
        fs::write(scene.path("maestro.yaml"), pipeline(&address)).expect("a file");
        scene.run(&["run"]);
        let image = format!("{address}/team/app:1.0");
        let told = scene.said(&["evidence", "attach", &image, "--json"]);
        assert_eq!(told["statements"], 2, "{told}");
    };
    tokio::task::spawn_blocking(at_once).await.expect("done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_verified_by_its_name_alone_where_the_registry_lists_what_goes_with_it() {
    let registry = Listing::start(Door::Open).await;
    let address = registry.address.clone();
    tokio::task::spawn_blocking(move || is_verified_by_a_stranger(&address, true))
        .await
        .expect("done");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_verified_by_its_name_alone_where_the_registry_lists_nothing() {
    let registry = Debians::start(false).await;
    let address = registry.address.clone();
    tokio::task::spawn_blocking(move || is_verified_by_a_stranger(&address, false))
        .await
        .expect("done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_asks_who_is_there_is_shown_the_credentials_of_a_file() {
    let registry = Debians::start(true).await;
    let (address, image) = (registry.address.clone(), format!("{}/team/app:1.0", registry.address));
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("config.json");
    let auths = serde_json::json!({"auths": {address: {"auth": AUTH}}});
    fs::write(&file, auths.to_string()).expect("a file");
    let ask = |words: &[&str]| {
        let mut command = Command::new(maestro());
        command.args(["verify", &image]).args(words).current_dir(place.path());
        let output = command.env_remove("MAESTRO_REGISTRY_AUTH").output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let root = format!("sha256:{}", "5".repeat(64));
    let (code, said) = ask(&["--root", &root]);
    assert!(code == Some(1) && said.contains("MAE-7034"), "{code:?} {said}");
    assert!(said.contains("hint: --registry-auth") && !said.contains("worker"), "{said}");
    let (code, said) = ask(&["--root", &root, "--registry-auth", &file.display().to_string()]);
    assert!(code == Some(6) && said.contains("was not found"), "{code:?} {said}");
    assert!(!said.contains(AUTH), "{said}");
}

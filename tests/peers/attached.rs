//! Evidence beside an image in its registry: attached by whoever built it, and verified by a stranger who
//! has nothing but the image's name and the root's fingerprint.

use std::fs;
use std::process::{Command, Stdio};

use maestro_tests::harness::maestro;
use serde_json::Value;

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
        let scene = Scene::bare();
        fs::write(scene.path("maestro.yaml"), pipeline(address)).expect("a file");
        scene.run(&["run"]);
        let outputs = scene.said(&["runs", "show", "last", "--json"]);
        let steps = outputs["steps"].as_array().expect("steps");
        let digest = steps[1]["outputs"]["digest"].as_str().expect("a digest").to_owned();
        let found = scene.said(&["verify", "last", "--json"]);
        let root = found["root"].as_str().expect("a root").to_owned();
        Self { scene, image: format!("{address}/team/app:1.0"), digest, root }
    }

    /// What somebody elsewhere finds out, and how the command ended.
    fn asked(&self, words: &[&str]) -> (i32, Value) {
        let elsewhere = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(maestro());
        command.args(["verify", &self.image, "--json"]).args(words);
        command.current_dir(elsewhere.path()).stdin(Stdio::null());
        for name in ["MAESTRO_SERVER", "MAESTRO_TOKEN", "MAESTRO_PROJECT"] {
            command.env_remove(name);
        }
        let output = command.output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let said = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        (output.status.code().unwrap_or(-1), said)
    }
}

fn is_verified_by_a_stranger(address: &str, is_listed: bool) {
    let built = Built::in_registry(address);
    let (code, said) = built.asked(&["--root", &built.root]);
    assert_eq!(code, 6, "nothing is attached yet: {said}");

    for _ in 0..2 {
        let told = built.scene.said(&["evidence", "attach", &built.image, "--json"]);
        assert_eq!(told["image"], built.digest.as_str(), "{told}");
        assert_eq!(
            (&told["statements"], &told["listed"]),
            (&2.into(), &is_listed.into()),
            "{told}"
        );
    }

    let (code, said) = built.asked(&["--root", &built.root]);
    assert_eq!((code, &said["verified"]), (0, &true.into()), "{said}");
    assert_eq!((&said["root_is_known"], &said["statements"]), (&true.into(), &2.into()), "{said}");
    let made: Vec<&Value> =
        said["chain"].as_array().expect("links").iter().map(|link| &link["made"]).collect();
    assert_eq!(made, ["build/image#image", "build/compile#dist"], "{said}");

    let other = format!("sha256:{}", "5".repeat(64));
    assert_eq!(built.asked(&["--root", &other]).0, 6, "no list of keys is of this root");
    let expect = built.scene.path("expect.toml");
    fs::write(&expect, "pipeline = \"another\"\n").expect("a file");
    let (code, said) = built.asked(&["--expect", &expect.display().to_string()]);
    assert_eq!((code, &said["failures"][0]["code"]), (1, &"MAE-7095".into()), "{said}");
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
    let (code, said) = ask(&[]);
    assert!(code == Some(1) && said.contains("MAE-7034"), "{code:?} {said}");
    let (code, said) = ask(&["--registry-auth", &file.display().to_string()]);
    assert!(code == Some(6) && said.contains("was not found"), "{code:?} {said}");
    assert!(!said.contains(AUTH), "{said}");
}

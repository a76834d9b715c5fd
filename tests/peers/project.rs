//! A real project from its lock file to evidence that strangers verify: more than a hundred packages that
//! npm fetches in a sandbox, an image with its SBOM in a registry, and a second run that does nothing
//! again.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::registries::Debians;
use crate::sbom::{self, root};
use crate::verifiers::{Evidence, Scene};

/// What the project does with its packages: it says which it has.
const BUNDLE: &str = r#"
import { readFileSync, mkdirSync, writeFileSync, existsSync } from "node:fs";
const lock = JSON.parse(readFileSync("package-lock.json"));
const here = Object.keys(lock.packages).filter((name) => name && existsSync(`${name}/package.json`));
mkdirSync("dist");
writeFileSync("dist/packages.json", JSON.stringify(here.sort()));
"#;

fn pipeline(registry: &str) -> String {
    format!(
        r#"
name: shop
stages:
  - name: build
    steps:
      - name: bundle
        run: shell
        effect: pure
        network: full
        with:
          script: |
            npm install --no-save --ignore-scripts --omit=optional --no-audit --no-fund --prefer-offline
            node bundle.mjs
        artifacts: {{ dist: dist }}
  - name: package
    steps:
      - name: image
        run: container.build
        use: [{{ from: bundle, artifact: dist, path: dist }}]
        with:
          registry: {registry}/shop
          image: app
          tags: [v1]
          files: [dist/**, package.json, package-lock.json]
          push: true
          sbom: true
          sign: true
"#
    )
}

/// The packages' list and their lock are those that the tests against peers are got by.
fn project(scene: &Scene, registry: &str) {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(root().join("scripts/peers").join(name), scene.path(name)).expect("a copy");
    }
    fs::write(scene.path("bundle.mjs"), BUNDLE).expect("a file");
    // What is exported beside the project is none of its files.
    fs::write(scene.path(".maestroignore"), "/out\n/keys\n").expect("a file");
    fs::write(scene.path("maestro.yaml"), pipeline(registry)).expect("a file");
}

fn of_step<'a>(run: &'a Value, id: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("{id} is not in {run}"))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_a_hundred_packages_is_built_pushed_and_verified_by_strangers() {
    let registry = Debians::start(false).await;
    let scene = Scene::bare();
    project(&scene, &registry.address);
    scene.run(&["run"]);
    let first = scene.said(&["runs", "show", "last", "--json"]);
    let digest = of_step(&first, "package/image")["outputs"]["digest"].clone();
    let digest = digest.as_str().unwrap_or_else(|| panic!("no digest in {first}")).to_owned();

    scene.run(&["evidence", "export", "last", "--to", "out"]);
    let out = scene.path("out");
    let fetched = json(&out.join("artifacts/build/bundle/dist/packages.json"));
    let fetched = fetched.as_array().expect("a list").len();
    assert!(fetched > 100, "{fetched} packages were there when it was built");
    let bill: PathBuf = out.join("artifacts/package/image/sbom");
    let named = json(&bill)["components"].as_array().expect("components").len();
    assert!(named >= fetched, "the image's SBOM names {named} of {fetched}");
    sbom::check(&[bill]);
    let found = scene.said(&["verify", &digest, "--dir", "out", "--json"]);
    assert_eq!(found["verified"], true, "{found}");
    let made: Vec<&Value> =
        found["chain"].as_array().expect("a chain").iter().map(|link| &link["made"]).collect();
    assert_eq!(
        made,
        ["package/image#image", "build/bundle#dist"],
        "from the package to its source"
    );

    // It leaves files of its own beside the bundles, which nobody signed.
    Evidence::of(&out, scene.path("keys")).is_taken_by_everybody();

    let url = format!("http://{}/v2/shop/app/manifests/{digest}", registry.address);
    let accept = "application/vnd.oci.image.manifest.v1+json";
    let pulled = crate::plain::client().get(url).header("accept", accept).send().await;
    assert!(pulled.expect("an answer").status().is_success(), "the registry has the image");

    scene.run(&["run"]);
    let second = scene.said(&["runs", "show", "last", "--json"]);
    let bundled = of_step(&second, "build/bundle");
    assert_eq!(
        (&bundled["state"], &bundled["attempts"]),
        (&"cached".into(), &0.into()),
        "{bundled}"
    );
    assert_eq!(of_step(&second, "package/image")["outputs"]["digest"], digest.as_str());
    let builder = &found["chain"][1]["builder"];
    eprintln!("{fetched} packages, {named} components; built by {builder}");
}

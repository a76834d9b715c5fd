//! Our SBOMs beside those of cdxgen, and before CycloneDX's own validator: of this repository's lock
//! files, and of locks that pnpm and uv write while the test runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use maestro_evidence::sbom::{Limits, Subject, of_directory};
use serde_json::Value;
use tempfile::TempDir;

/// What cdxgen finds and we do not: the lock, the name with its version, and why.
const NOT_OURS: [(&str, &str, &str); 0] = [];

/// Components by name and version, in lower case, with their digests.
type Named = BTreeMap<(String, String), BTreeSet<String>>;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout").to_owned()
}

/// Something of `.tools/peers`.
pub fn peer(path: &str) -> PathBuf {
    let peer = root().join(".tools/peers").join(path);
    assert!(peer.exists(), "{} is missing: run scripts/get-tools.sh --peers", peer.display());
    peer
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{talk}", output.status);
    said
}

/// A directory with a lock in it, and both documents of it.
struct Scene {
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        for below in ["lock", "home", "bin"] {
            fs::create_dir(dir.path().join(below)).expect("a directory");
        }
        Self { dir }
    }

    /// With files of this repository, under the names that their tools give them.
    fn of(files: &[(&str, &str)]) -> Self {
        let scene = Self::new();
        for (from, to) in files {
            fs::copy(root().join(from), scene.lock().join(to)).expect("a copy");
        }
        scene
    }

    fn lock(&self) -> PathBuf {
        self.dir.path().join("lock")
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.lock().join(name), text).expect("a file");
    }

    fn ours(&self) -> PathBuf {
        let subject = Subject::project("lock");
        let found = of_directory(&subject, &self.lock(), Limits::default());
        let file = self.dir.path().join("ours.json");
        fs::write(&file, found.unwrap_or_else(|error| panic!("{error}")).json).expect("a file");
        file
    }

    /// cdxgen's document. It finds no program but node, so that it reads what we read.
    fn theirs(&self, kind: &str) -> PathBuf {
        let bin = self.dir.path().join("bin");
        let node = run(Command::new("node").args(["-e", "process.stdout.write(process.execPath)"]));
        std::os::unix::fs::symlink(node, bin.join("node")).expect("a link");
        let file = self.dir.path().join("theirs.json");
        run(Command::new(bin.join("node"))
            .arg(peer("node/node_modules/@cyclonedx/cdxgen/bin/cdxgen.js"))
            .args(["-t", kind, "--no-install-deps", "--spec-version", "1.6", "-o"])
            .args([&file, &self.lock()])
            .current_dir(self.lock())
            .env_clear()
            .env("PATH", &bin)
            .env("HOME", self.dir.path().join("home")));
        file
    }

    /// Holds ours to cdxgen's: no component and no digest less.
    fn compare(&self, lock: &str, kind: &str) {
        let (ours, theirs) = (named(&self.ours()), named(&self.theirs(kind)));
        eprintln!("{lock}: {} components of ours, {} of cdxgen's", ours.len(), theirs.len());
        assert!(theirs.len() > 2, "cdxgen found nothing to compare with in {lock}");
        let excused = |name: &str| NOT_OURS.iter().any(|(of, one, _)| *of == lock && *one == name);
        let missing: Vec<String> = theirs
            .keys()
            .filter(|key| !ours.contains_key(*key))
            .map(|(name, version)| format!("{name}@{version}"))
            .filter(|name| !excused(name))
            .collect();
        assert_eq!(missing, Vec::<String>::new(), "{lock}");
        for (key, hashes) in &theirs {
            let own = ours.get(key).cloned().unwrap_or_default();
            assert!(hashes.is_subset(&own), "{lock}: {key:?}: {hashes:?} are not all in {own:?}");
        }
    }
}

/// Components by name and version, with all their digests.
fn named(file: &Path) -> Named {
    let text = fs::read_to_string(file).expect("a document");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
    let mut found = Named::new();
    for one in document["components"].as_array().expect("a list") {
        let name = format!("{}/{}", text(&one["group"]), text(&one["name"]));
        let name = name.trim_start_matches('/').to_owned();
        let references = one["externalReferences"].as_array().into_iter().flatten();
        let lists = references.map(|one| &one["hashes"]).chain([&one["hashes"]]);
        let hashes = lists.filter_map(Value::as_array).flatten().map(|hash| text(&hash["content"]));
        found.entry((name, text(&one["version"]))).or_default().extend(hashes);
    }
    found
}

pub fn check(files: &[PathBuf]) {
    let script = root().join("scripts/peers/check_cyclonedx.py");
    run(Command::new("python3").arg(script).args(files).env("PYTHONPATH", peer("python")));
}

fn cargo() -> Scene {
    Scene::of(&[("Cargo.lock", "Cargo.lock")])
}

fn npm() -> Scene {
    let package = ("scripts/peers/package.json", "package.json");
    Scene::of(&[package, ("scripts/peers/package-lock.json", "package-lock.json")])
}

fn demo() -> Scene {
    let package = ("examples/intelgraph-build/package.json", "package.json");
    Scene::of(&[package, ("examples/intelgraph-build/package-lock.json", "package-lock.json")])
}

fn requirements() -> Scene {
    Scene::of(&[("scripts/peers/requirements.txt", "requirements.txt")])
}

/// A lock that pnpm writes for what the peers need.
fn pnpm() -> Scene {
    let scene = Scene::of(&[("scripts/peers/package.json", "package.json")]);
    run(Command::new("node")
        .arg(peer("node/node_modules/pnpm/bin/pnpm.cjs"))
        .args(["install", "--lockfile-only", "--ignore-scripts"])
        .current_dir(scene.lock()));
    scene
}

/// A lock that uv writes for a project with an extra and a group.
fn uv() -> Scene {
    let scene = Scene::new();
    scene.put(
        "pyproject.toml",
        "[project]\nname = \"own\"\nversion = \"1.0.0\"\nrequires-python = \">=3.10\"\n\
         dependencies = [\"jsonschema[format]==4.26.0\"]\n\
         [project.optional-dependencies]\nfast = [\"sortedcontainers\"]\n\
         [dependency-groups]\ndev = [\"packageurl-python\"]\n",
    );
    run(Command::new(peer("python/bin/uv"))
        .args(["lock", "--no-progress", "--cache-dir"])
        .arg(scene.dir.path().join("home"))
        .current_dir(scene.lock()));
    scene
}

#[test]
fn cargos_lock_names_what_cdxgen_finds() {
    cargo().compare("Cargo.lock", "rust");
}

#[test]
fn npms_locks_name_what_cdxgen_finds() {
    npm().compare("package-lock.json of the peers", "npm");
    demo().compare("package-lock.json of the demo", "npm");
}

#[test]
fn requirements_name_what_cdxgen_finds() {
    requirements().compare("requirements.txt of the peers", "python");
    let gateway = Scene::of(&[("deploy/router/litellm.lock", "requirements.txt")]);
    gateway.compare("requirements.txt of the gateway", "python");
}

#[test]
fn locks_of_pnpm_and_uv_name_what_cdxgen_finds_and_are_valid() {
    let (pnpm, uv) = (pnpm(), uv());
    pnpm.compare("pnpm-lock.yaml", "pnpm");
    uv.compare("uv.lock", "python");
    check(&[pnpm.ours(), uv.ours()]);
}

#[test]
fn documents_of_real_locks_and_of_every_golden_are_valid() {
    let scenes = [cargo(), npm(), demo(), requirements()];
    let golden = fs::read_dir(root().join("evidence/tests/sbom/golden")).expect("the goldens");
    let golden = golden.map(|entry| entry.expect("an entry").path());
    let files: Vec<PathBuf> = scenes.iter().map(Scene::ours).chain(golden).collect();
    assert!(files.len() > 12, "{files:?}");
    check(&files);
}

#[test]
fn the_validator_refuses_what_is_no_document() {
    let scene = cargo();
    let file = scene.ours();
    let text = fs::read_to_string(&file).expect("a document");
    for (from, to) in [
        ("\"type\": \"library\"", "\"type\": \"book\""),
        ("pkg:cargo/anstyle@", "pkg:cargo//anstyle@"),
    ] {
        fs::write(&file, text.replacen(from, to, 2)).expect("a file");
        let script = root().join("scripts/peers/check_cyclonedx.py");
        let output = Command::new("python3")
            .arg(script)
            .arg(&file)
            .env("PYTHONPATH", peer("python"))
            .output()
            .expect("python3");
        assert_eq!(output.status.code(), Some(1), "{from} as {to} passed");
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"refused\""));
    }
}

//! Evidence of a real run before other people's verifiers: Sigstore's library for JavaScript,
//! securesystemslib and in-toto's types of Python, and openssl. Each takes what we signed, and refuses it
//! with any bit flipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maestro_tests::harness::maestro;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::sbom::{peer, root};

const PATIENCE: Duration = Duration::from_secs(60);

/// A directory that is made, a file made of it, and a result that is taken over the second time.
const PIPELINE: &str = r#"
name: app
inputs: { greeting: { type: string, default: hello } }
stages:
  - name: build
    steps:
      - name: compile
        run: shell
        effect: pure
        with: { script: 'mkdir dist && echo hello > dist/hello' }
        artifacts: { dist: dist }
      - name: pack
        run: shell
        use: [{ from: compile, artifact: dist }]
        with: { script: 'tar --mtime=@0 -cf app.tar dist' }
        artifacts: { app: app.tar }
"#;

/// Anything may go to staging.
const PROMOTION: &str = "package maestro.promotion\n\nallow if input.environment == \"staging\"\n";

/// A directory with a local stack of its own, and the evidence of a run in it.
pub struct Scene {
    dir: TempDir,
}

impl Scene {
    /// An empty one.
    pub fn bare() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    fn new() -> Self {
        let scene = Self::permitting();
        fs::write(scene.path("maestro.yaml"), PIPELINE).expect("a file");
        scene
    }

    /// One with no pipeline, from which anything may go to staging.
    pub fn permitting() -> Self {
        let scene = Self::bare();
        let global = scene.path("policies/global");
        fs::create_dir_all(&global).expect("a directory");
        fs::write(global.join("promotion.rego"), PROMOTION).expect("a file");
        scene
    }

    /// Something of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Types a command that uses the local stack.
    pub fn run(&self, words: &[&str]) {
        self.typed(&[words, &["--local"]].concat());
    }

    /// What a command prints as JSON.
    pub fn said(&self, words: &[&str]) -> Value {
        let is_offline = words.contains(&"--dir");
        let words = if is_offline { words.to_vec() } else { [words, &["--local"]].concat() };
        serde_json::from_slice(&self.typed(&words).stdout).expect("JSON")
    }

    /// What a command that uses the local stack says where it does not do what was asked.
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.command(&[words, &["--local"]].concat()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn typed(&self, words: &[&str]) -> Output {
        done(&mut self.command(words))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(maestro());
        command.args(words).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["MAESTRO_SERVER", "MAESTRO_TOKEN", "MAESTRO_PROJECT"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs the pipeline twice, and writes the second run's evidence out.
    fn evidence(&self) -> Evidence {
        self.run(&["run"]);
        self.run(&["run"]);
        self.run(&["evidence", "export", "last", "--to", "first"]);
        let app = self.path("first/artifacts/build/pack/app").display().to_string();
        self.run(&["promote", &app, "--to", "staging", "--run", "last"]);
        self.run(&["evidence", "export", "last", "--to", "out"]);
        Evidence::of(&self.path("out"), self.path("keys"))
    }
}

impl Drop for Scene {
    /// Ends the stack and waits until nothing of it is left.
    fn drop(&mut self) {
        let Ok(text) = fs::read_to_string(self.path(".maestro/state.json")) else { return };
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        let of = |name| state[name].as_i64().map(|pid| Pid::from_raw(pid as i32));
        if let Some(owner) = of("pid") {
            let _ = kill(owner, Signal::SIGTERM);
        }
        let until = Instant::now() + PATIENCE;
        let all: Vec<Pid> =
            ["pid", "nats_pid", "postgres_pid"].into_iter().filter_map(of).collect();
        while all.iter().any(|pid| kill(*pid, None).is_ok()) && Instant::now() < until {
            std::thread::yield_now();
        }
    }
}

/// Bundles as files, and the public keys that may have signed them.
pub struct Evidence {
    keys: Vec<PathBuf>,
    bundles: Vec<PathBuf>,
}

impl Evidence {
    /// What was exported; its public keys are written to `keys`.
    pub fn of(directory: &Path, keys: PathBuf) -> Self {
        let mut bundles = below(directory);
        bundles.retain(|path| path.to_string_lossy().ends_with(".sigstore.json"));
        let (_, ring) = payload(&read(&directory.join("keys.json")));
        let ring: Value = serde_json::from_slice(&ring).expect("a list of keys");
        let listed = ring["keys"].as_array().expect("keys").iter();
        let texts = listed.map(|key| &key["public_key"]).chain([&ring["root"]]);
        fs::create_dir(&keys).expect("a directory");
        let write = |(number, text): (usize, &Value)| {
            let path = keys.join(format!("{number}.pem"));
            fs::write(&path, text.as_str().expect("a key")).expect("a file");
            path
        };
        Self { keys: texts.enumerate().map(write).collect(), bundles }
    }

    /// What Sigstore's library says of each file.
    fn by_sigstore(&self, files: &[PathBuf]) -> Vec<Value> {
        let script = root().join("scripts/peers/check_bundles.cjs");
        let mut command = Command::new("node");
        command.arg(script).env("NODE_PATH", peer("node/node_modules"));
        self.said(command, files)
    }

    /// What the libraries of Python say of each file.
    fn by_python(&self, files: &[PathBuf]) -> Vec<Value> {
        let script = root().join("scripts/peers/check_statements.py");
        let mut command = Command::new("python3");
        command.arg(script).env("PYTHONPATH", peer("python"));
        self.said(command, files)
    }

    fn said(&self, mut command: Command, files: &[PathBuf]) -> Vec<Value> {
        let output = command.args(&self.keys).args(files).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.len(), files.len(), "{command:?}: {}\n{text}\n{talk}", output.status);
        said
    }

    /// Whether openssl takes the signature by any of the keys.
    fn by_openssl(&self, file: &Path) -> bool {
        let bundle = read(file);
        let (kind, payload) = payload(&bundle);
        let head = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let (signed, signature) = (file.with_extension("signed"), file.with_extension("sig"));
        fs::write(&signed, [head.as_bytes(), &payload].concat()).expect("a file");
        fs::write(&signature, decoded(&bundle["dsseEnvelope"]["signatures"][0]["sig"]))
            .expect("a file");
        self.keys.iter().any(|key| {
            let mut command = Command::new("openssl");
            command.args(["dgst", "-sha256", "-verify"]).arg(key);
            command.arg("-signature").arg(&signature).arg(&signed);
            command.output().expect("openssl").status.success()
        })
    }

    /// Each verifier takes each bundle.
    pub fn is_taken_by_everybody(&self) {
        for said in self.by_sigstore(&self.bundles) {
            assert_eq!(said["refused"], Value::Null, "{said}");
        }
        for said in self.by_python(&self.bundles) {
            let refused = (&said["signature"], &said["statement"]);
            assert_eq!(refused, (&Value::Null, &Value::Null), "{said}");
        }
        for file in &self.bundles {
            assert!(self.by_openssl(file), "openssl refuses {}", file.display());
        }
    }

    /// Each bundle with one bit flipped, at many places of what its signature is to keep.
    fn flipped(&self, directory: &Path) -> Vec<PathBuf> {
        fs::create_dir(directory).expect("a directory");
        let mut files = Vec::new();
        for path in &self.bundles {
            for bundle in flips(&read(path)) {
                let file = directory.join(format!("{}.json", files.len()));
                fs::write(&file, bundle.to_string()).expect("a file");
                files.push(file);
            }
        }
        files
    }
}

/// The bundle with one bit flipped: of its payload, its payload's type, its signature.
fn flips(bundle: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for place in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
        let bytes = decoded(bundle.pointer(place).expect("a text"));
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 12).chain([bytes.len() - 1]) {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let mut flipped = bundle.clone();
            *flipped.pointer_mut(place).expect("a text") = STANDARD.encode(changed).into();
            all.push(flipped);
        }
    }
    let mut flipped = bundle.clone();
    flipped["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+jsoo".into();
    all.push(flipped);
    all
}

fn decoded(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("a text")).expect("base64")
}

/// A payload's type and its bytes.
fn payload(bundle: &Value) -> (String, Vec<u8>) {
    let envelope = &bundle["dsseEnvelope"];
    (envelope["payloadType"].as_str().expect("a type").to_owned(), decoded(&envelope["payload"]))
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).expect("a file")).expect("JSON")
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let paths = entries.flat_map(|entry| match entry.file_type().expect("a kind").is_dir() {
        true => below(&entry.path()),
        false => vec![entry.path()],
    });
    paths.collect()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [said, talk] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {}\n{said}\n{talk}", output.status);
    output
}

#[test]
fn other_peoples_verifiers_take_the_evidence_of_a_run_and_refuse_each_flipped_bit() {
    let scene = Scene::new();
    let evidence = scene.evidence();
    let bundles = &evidence.bundles;
    assert_eq!(
        bundles.len(),
        4,
        "a manifest, a statement of this run, one of the first, and a promotion: {bundles:?}"
    );
    evidence.is_taken_by_everybody();
    let flipped = evidence.flipped(&scene.path("flipped"));
    assert!(flipped.len() > 60, "{} are too few", flipped.len());
    for said in evidence.by_sigstore(&flipped) {
        assert!(said["refused"].is_string(), "{said}");
    }
    for said in evidence.by_python(&flipped) {
        assert!(said["signature"].is_string(), "{said}");
    }
    for file in &flipped {
        assert!(!evidence.by_openssl(file), "openssl takes {}", file.display());
    }
}

#[test]
fn a_statement_that_is_of_another_form_is_refused_by_in_totos_types() {
    let scene = Scene::new();
    let evidence = scene.evidence();
    let is_statement = |path: &&PathBuf| path.to_string_lossy().contains("/statements/");
    let statement = evidence.bundles.iter().find(is_statement);
    let bundle = read(statement.expect("a statement"));
    let (_, signed) = payload(&bundle);
    let text = String::from_utf8(signed).expect("text");
    for (from, to) in [
        (
            r#""_type":"https://in-toto.io/Statement/v1""#,
            r#""_type":"https://in-toto.io/Statement/v9""#,
        ),
        (r#""subject":"#, r#""suject":"#),
        (r#""runDetails":"#, r#""runDetail":"#),
        (r#""startedOn":"2"#, r#""startedOn":"x"#),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        let mut changed = bundle.clone();
        changed["dsseEnvelope"]["payload"] = STANDARD.encode(text.replacen(from, to, 1)).into();
        let file = scene.path("changed.json");
        fs::write(&file, changed.to_string()).expect("a file");
        let said = evidence.by_python(&[file]).remove(0);
        assert!(said["statement"].is_string(), "{from} as {to} passed: {said}");
    }
}

//! Keys that stay in AWS KMS, beside artifacts in a bucket of S3: moto's server keeps both, and looks at
//! who signed each request.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use maestro_cli::local::child::{self, Child, Plan, Spawn};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{OutputArtifact, Plan as Steps};
use maestro_schemas::secret::SecretUse;
use maestro_tests::harness::{Cluster, Process, maestro, plan_of, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::plain::free_port;
use crate::sbom::{peer, root};

const REGION: &str = "eu-central-1";
const BUCKET: &str = "artifacts-of-the-test";
const TOKEN: &str = "an-admin-of-the-test-5f0c";
const SECRET: &str = "correct horse battery";
const START_MAX: Duration = Duration::from_secs(60);
const STOP: Plan = &[(Signal::SIGKILL, Duration::from_secs(5))];
const POLICY: &str = r#"{"Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["kms:*", "s3:*"], "Resource": "*"}]}"#;

/// The double, and a user who may use its keys. It ends when it is dropped.
struct Moto {
    url: String,
    client: reqwest::Client,
    user: (String, String),
    _child: Child,
    _dir: TempDir,
}

impl Moto {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let port = free_port().await.to_string();
        let mut argv: Vec<OsString> = child::dies_with_us("KILL");
        argv.extend(["python3".into(), root().join("scripts/peers/kms_server.py").into()]);
        argv.extend(["-H", "127.0.0.1", "-p", &port].map(OsString::from));
        let variables = vec![("PYTHONPATH".into(), peer("python").into())];
        let log = dir.path().join("moto.log");
        let spawn = Spawn { name: "moto", argv, log, variables, stop: STOP, abandon: STOP };
        let child = Child::spawn(spawn).expect("a process");
        let mut moto = Self {
            url: format!("http://127.0.0.1:{port}"),
            client: crate::plain::client(),
            user: Default::default(),
            _child: child,
            _dir: dir,
        };
        moto.takes_requests().await;
        moto.make_user().await;
        moto.make_bucket().await;
        moto
    }

    async fn takes_requests(&self) {
        let deadline = Instant::now() + START_MAX;
        while self.client.get(format!("{}/moto-api/", self.url)).send().await.is_err() {
            assert!(Instant::now() < deadline, "it takes no requests within {START_MAX:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn make_user(&mut self) {
        self.iam(&[("Action", "CreateUser")]).await;
        self.iam(&[("Action", "PutUserPolicy"), ("PolicyName", "p"), ("PolicyDocument", POLICY)])
            .await;
        let text = self.iam(&[("Action", "CreateAccessKey")]).await;
        let of = |tag: &str| {
            let (_, rest) = text.split_once(&format!("<{tag}>")).expect("a key");
            rest.split_once('<').expect("a key").0.to_owned()
        };
        self.user = (of("AccessKeyId"), of("SecretAccessKey"));
    }

    async fn make_bucket(&self) {
        let asked = self.client.put(format!("{}/{BUCKET}", self.url));
        let asked = asked.header("authorization", by_nobody("s3")).body(format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        ));
        let answer = asked.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn iam(&self, fields: &[(&str, &str)]) -> String {
        let fixed = [("Version", "2010-05-08"), ("UserName", "maestro")];
        let fields: Vec<_> = fixed.iter().chain(fields).collect();
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
        let asked = self.client.post(&self.url).header("authorization", by_nobody("iam"));
        let asked = asked.header("content-type", "application/x-www-form-urlencoded");
        let answer = asked.body(body.join("&")).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
        answer.text().await.expect("a text")
    }

    /// A new key, and its ARN.
    async fn key(&self, spec: &str, usage: &str) -> String {
        let asked = self.client.post(&self.url).header("authorization", by_nobody("kms"));
        let asked = asked
            .header("x-amz-target", "TrentService.CreateKey")
            .header("content-type", "application/x-amz-json-1.1");
        let body = json!({ "KeySpec": spec, "KeyUsage": usage }).to_string();
        let answer = asked.body(body).send().await.expect("an answer");
        let answer: Value =
            serde_json::from_str(&answer.text().await.expect("a text")).expect("JSON");
        answer["KeyMetadata"]["Arn"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// From now on each request must be signed by the user's key, or by somebody who may.
    async fn look_at_signatures(&self) {
        let asked = self.client.post(format!("{}/moto-api/reset-auth", self.url)).body("0");
        assert!(asked.send().await.expect("an answer").status().is_success());
    }

    fn variables(&self) -> [(&str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", &self.user.0),
            ("AWS_SECRET_ACCESS_KEY", &self.user.1),
        ]
    }
}

/// Before it looks, it wants to know of which service and region a request is.
fn by_nobody(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=nobody/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=00"
    )
}

fn percent(text: &str) -> String {
    let part = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(part).collect()
}

/// `maestro` with these variables, and nothing on its standard input.
fn type_in(variables: &[(&str, &str)], words: &[&str], input: Option<&Path>) -> Output {
    let mut command = Command::new(maestro());
    command.args(words).envs(variables.iter().copied()).stdin(match input {
        Some(path) => Stdio::from(fs::File::open(path).expect("a file")),
        None => Stdio::null(),
    });
    command.output().expect("a process")
}

fn json_of(output: &Output) -> Value {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {talk}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A cluster whose coordinator signs and keeps secrets as its variables say.
struct Scene<'a> {
    cluster: &'a Cluster,
    address: String,
    server: String,
}

impl<'a> Scene<'a> {
    async fn new(cluster: &'a Cluster) -> Self {
        let address = format!("127.0.0.1:{}", free_port().await);
        let server = format!("http://{address}");
        Self { cluster, address, server }
    }

    fn coordinator(&self, variables: &[(&str, &str)]) -> Process {
        let own = [("MAESTRO_ADMIN_TOKEN", TOKEN)];
        let variables = [&own, variables].concat();
        self.cluster.spawn_coordinator_at("one", &self.address, &variables)
    }

    fn type_in(&self, words: &[&str], input: Option<&Path>) -> Output {
        let variables = [("MAESTRO_SERVER", self.server.as_str()), ("MAESTRO_TOKEN", TOKEN)];
        type_in(&variables, &[words, &["--json"]].concat(), input)
    }

    /// The key that wraps the secret's data key, once the coordinator answers.
    async fn wrapped_by(&self) -> String {
        let listed = until("the list of secrets", || async {
            let listed = self.type_in(&["secrets", "list"], None);
            listed.status.success().then_some(listed)
        });
        let listed = json_of(&listed.await);
        listed["versions"][0]["kek"].as_str().unwrap_or_else(|| panic!("{listed}")).to_owned()
    }

    /// How a run of the plan ends.
    async fn run(&self) -> (String, String) {
        let rows = self.cluster.rows().await;
        let run = self.cluster.submit(plan(), 1).await;
        (run.to_string(), self.cluster.ended(&rows, run).await)
    }
}

/// A step that keeps how long its secret is.
fn plan() -> Steps {
    let mut plan = plan_of(&[("measure", "build", "shell", &[])]);
    let node = &mut plan.nodes[0];
    node.with = json!({ "script": "printf %s \"$TOKEN\" | wc -c > length; test -n \"$TOKEN\"" });
    let secret = SecretUse { secret: "token".parse().expect("a name"), file: false };
    node.secrets.insert("TOKEN".to_owned(), secret);
    let (role, path) = ("length".to_owned(), "length".to_owned());
    node.outputs.push(OutputArtifact { role, path, optional: false });
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_signed_and_secrets_are_kept_by_keys_that_stay_in_kms() {
    let moto = Moto::start().await;
    let signs = moto.key("ECC_NIST_P256", "SIGN_VERIFY").await;
    let wraps = moto.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").await;
    moto.look_at_signatures().await;

    let cluster = Cluster::start(&["build"]).await;
    let directory = cluster.dir().join("keys");
    let keys = directory.to_str().expect("a plain path");
    let passphrase = [("MAESTRO_ROOT_PASSPHRASE", "battery staple")];
    let variables = [&passphrase[..], &moto.variables()].concat();
    let made =
        type_in(&variables, &["keys", "init", "--keys", keys, "--kms", &signs, "--json"], None);
    assert_eq!(json_of(&made)["keys"][0]["state"], "good");
    let named: Vec<String> = fs::read_dir(&directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".key"))
        .collect();
    assert_eq!(named, ["root.key"], "no key that signs is in a file");

    // First by a file of keys, then by the service besides, then by the service alone.
    let scene = Scene::new(&cluster).await;
    let file = cluster.dir().join("secrets.key");
    let file = file.to_str().expect("a plain path");
    json_of(&type_in(&[], &["secrets", "keys", "init", file, "--json"], None));
    let value = cluster.dir().join("value");
    fs::write(&value, SECRET).expect("a file");
    let kept = [("MAESTRO_KEYS", keys), ("MAESTRO_SECRETS_KEY_FILE", file)];
    let kept = [&kept[..], &moto.variables()].concat();
    let coordinator = scene.coordinator(&kept);
    until("a secret that is set", || async {
        scene.type_in(&["secrets", "set", "token"], Some(&value)).status.success().then_some(())
    })
    .await;
    assert!(scene.wrapped_by().await.starts_with("file-"));
    coordinator.terminate().await;

    let in_kms = ("MAESTRO_SECRETS_KMS_KEY", wraps.as_str());
    let coordinator = scene.coordinator(&[&kept[..], &[in_kms]].concat());
    scene.wrapped_by().await;
    json_of(&scene.type_in(&["secrets", "rewrap"], None));
    assert_eq!(scene.wrapped_by().await, wraps);
    coordinator.terminate().await;

    let store = format!("s3://{BUCKET}/objects");
    let bucket = [&[("MAESTRO_STORE", store.as_str())], &moto.variables()[..]].concat();
    let word = ("MAESTRO_KEY_PASSPHRASE", "correct horse");
    let alone = [&[("MAESTRO_KEYS", keys), in_kms, word], &bucket[..]].concat();
    let _coordinator = scene.coordinator(&alone);
    scene.wrapped_by().await;
    let _worker = cluster.spawn_build_worker_with("builder", 1, &bucket);
    let (run, state) = scene.run().await;
    assert_eq!(state, "succeeded");
    let out = cluster.dir().join("out");
    let out = out.to_str().expect("a plain path");
    json_of(&scene.type_in(&["evidence", "export", &run, "--to", out], None));
    let length = fs::read_to_string(cluster.dir().join("out/artifacts/main/measure/length"));
    let length = length.expect("an artifact");
    assert_eq!(length.trim(), SECRET.len().to_string());
    let found = json_of(&type_in(&[], &["verify", "--dir", out, "--json"], None));
    assert_eq!((&found["verified"], &found["statements"]), (&true.into(), &1.into()), "{found}");
    let is_here = cluster.store.exists(Digest::of(length.as_bytes())).await.expect("a store");
    assert!(!is_here, "it is in the bucket, and not in the directory");

    // A next key in a file signs without a restart.
    let words = ["keys", "rotate", "--keys", keys, "--json"];
    json_of(&type_in(&[passphrase[0], word], &words, None));
    let (run, _) = scene.run().await;
    let out = cluster.dir().join("later");
    let out = out.to_str().expect("a plain path");
    json_of(&scene.type_in(&["evidence", "export", &run, "--to", out], None));
    let later = json_of(&type_in(&[], &["verify", "--dir", out, "--json"], None));
    assert_eq!(later["verified"], true, "{later}");
    assert_ne!(later["key"], found["key"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_kms_that_cannot_be_used_is_refused_in_words() {
    let moto = Moto::start().await;
    let signs = moto.key("ECC_NIST_P256", "SIGN_VERIFY").await;
    let wraps = moto.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").await;
    moto.look_at_signatures().await;
    let dir = tempfile::tempdir().expect("a directory");
    let said = |key: &str, variables: &[(&str, &str)]| {
        let passphrase = ("MAESTRO_ROOT_PASSPHRASE", "battery staple");
        let variables = [&[passphrase], variables].concat();
        let keys = dir.path().join("keys");
        let words = ["keys", "init", "--keys", keys.to_str().expect("a path"), "--kms", key];
        let output = type_in(&variables, &words, None);
        assert_eq!(output.status.code(), Some(1));
        assert!(!keys.exists(), "nothing is made by halves");
        String::from_utf8(output.stderr).expect("a text")
    };
    let known = moto.variables();
    let missing = signs.replace(signs.rsplit('/').next().expect("an id"), &"0".repeat(36));
    for (key, variables, words) in [
        ("alias/release", &known[..], "expected the ARN of a key"),
        (&missing, &known, "NotFoundException"),
        (&wraps, &known, "MAE-708"),
        (&signs, &[&known[..], &[("AWS_SECRET_ACCESS_KEY", "another")]].concat(), "status 403"),
        (
            &signs,
            &[&known[..], &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]].concat(),
            "no answer",
        ),
    ] {
        let said = said(key, variables);
        assert!(said.contains(words) && said.contains("MAE-708"), "{words}: {said}");
    }
}

//! LiteLLM's proxy as others run it: from a rendered file, with the hook beside it, and nothing of
//! Maestro's around it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use maestro_cli::local::child::{self, Child, Plan, Spawn};
use maestro_cli::local::litellm::{self, Options};
use nix::sys::signal::Signal;
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const HOOK: &str = include_str!("../../deploy/router/maestro_hook.py");
const KEY: &str = "sk-a-key-of-the-tests-alone";
const STOP: Plan = &[(Signal::SIGKILL, Duration::from_secs(5))];
/// For the proxy to take requests: it reads much, and slow disks read slowly.
const START_MAX: Duration = Duration::from_secs(120);
/// Without these it would fetch lists from the network at its start.
const LOCAL: [&str; 5] = [
    "LITELLM_LOCAL_MODEL_COST_MAP",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS",
    "LITELLM_LOCAL_AUTOROUTER_PRESETS",
    "LITELLM_LOCAL_POLICY_TEMPLATES",
    "LITELLM_LOCAL_BLOG_POSTS",
];

/// A proxy of one test. It ends when it is dropped.
pub struct Proxy {
    child: Child,
    url: String,
    client: Client,
    _dir: TempDir,
}

impl Proxy {
    /// Starts one with a configuration, the hook, and variables of the hook's.
    pub async fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("config.yaml");
        fs::write(&file, config).expect("a file");
        fs::write(dir.path().join("maestro_hook.py"), HOOK).expect("a file");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
        let site = litellm::find(&Options::of_project(root, dir.path().to_owned()))
            .unwrap_or_else(|error| panic!("{error}; `make tools` gets it"));
        let port = free_port().await;
        let mut argv = child::dies_with_us("KILL");
        argv.extend([python().into(), site.join("bin/litellm").into(), "--config".into()]);
        argv.extend([file.into(), "--host".into(), "127.0.0.1".into()]);
        argv.extend(["--port".into(), OsString::from(port.to_string())]);
        let own = [("LITELLM_MASTER_KEY", KEY), ("MAESTRO_HOOK_TIMEOUT_MS", "10000")];
        let own = own.iter().chain(variables).map(|(name, value)| (name.into(), value.into()));
        let mut variables: Vec<(OsString, OsString)> = own.collect();
        variables.extend(LOCAL.map(|name| (name.into(), "True".into())));
        // The router takes no configuration that holds a key itself.
        variables.push(("PROVIDER_KEY".into(), "none".into()));
        variables.push(("PYTHONPATH".into(), site.into()));
        variables.push(("HOME".into(), dir.path().into()));
        let log = dir.path().join("litellm.log");
        let spawn = Spawn { name: "LiteLLM", argv, log, variables, stop: STOP, abandon: STOP };
        let child = Child::spawn(spawn).expect("a process");
        let url = format!("http://127.0.0.1:{port}");
        let proxy = Self { child, url, client: client(), _dir: dir };
        proxy.takes_requests().await;
        proxy
    }

    /// A call of a model, to be completed and sent.
    pub fn chat(&self, body: &Value) -> RequestBuilder {
        self.ask("chat/completions", body)
    }

    /// The same by any of the proxy's doors.
    pub fn ask(&self, door: &str, body: &Value) -> RequestBuilder {
        let url = format!("{}/v1/{door}", self.url);
        self.client.post(url).bearer_auth(KEY).json(body)
    }

    /// Its address and key, for those who call it by themselves.
    pub fn gateway(&self) -> (&str, &str) {
        (&self.url, KEY)
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.child.log()).unwrap_or_default()
    }

    async fn takes_requests(&self) {
        let deadline = Instant::now() + START_MAX;
        let url = format!("{}/health/liveliness", self.url);
        loop {
            let asked = self.client.get(&url).send().await;
            if asked.is_ok_and(|response| response.status().is_success()) {
                return;
            }
            assert!(self.child.status().is_none(), "it ended");
            assert!(Instant::now() < deadline, "it takes no requests within {START_MAX:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Proxy {
    /// A failing test shows what its proxy said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.log();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines.len().saturating_sub(60);
            eprintln!("--- LiteLLM ---\n{}", lines[last..].join("\n"));
        }
    }
}

/// A client; the library takes no cryptography by itself, and another test may have given it the same.
pub fn client() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

/// The interpreter itself: what stands in the search path may be a script that finds it by variables
/// that the proxy does not get.
fn python() -> PathBuf {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let said = String::from_utf8(asked.expect("python3").stdout).expect("a path");
    PathBuf::from(said.trim())
}

pub async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

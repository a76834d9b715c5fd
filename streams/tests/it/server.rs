//! A real nats-server on a free port of loopback, its store in a directory of its own; killed on
//! drop.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use maestro_streams::connect::{ConnectOptions, Connection};
use maestro_streams::topology::permission::{Role, permissions};

pub struct Server {
    directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MAESTRO_NATS_SERVER") {
        return path.into();
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join(".tools/bin/nats-server"))
        .find(|path| path.exists());
    tools.unwrap_or_else(|| "nats-server".into())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn users(roles: &[Role]) -> String {
    let mut text = String::new();
    for role in roles {
        let allowed = permissions(role);
        writeln!(
            text,
            "{{ user: {:?}, password: secret, permissions: {{ publish: {{ allow: {:?} }}, subscribe: {{ allow: {:?} }} }} }}",
            role.user(), allowed.publish, allowed.subscribe
        )
        .expect("a string grows");
    }
    text
}

fn launch(config: &Path) -> Child {
    Command::new(binary())
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect(
            "nats-server 2.12 or later: set MAESTRO_NATS_SERVER, or put it into .tools/bin or PATH",
        )
}

impl Server {
    /// A server where everybody may do everything.
    pub fn start() -> Self {
        Self::with("max_file_store: 8GB", "")
    }

    /// A server that knows one user for each of `roles`, with that role's permissions.
    pub fn with_roles(roles: &[Role]) -> Self {
        let authorization = format!("authorization {{ users: [\n{}] }}", users(roles));
        Self::with("max_file_store: 8GB", &authorization)
    }

    /// A server with these lines in its `jetstream` block and at the top.
    pub fn with(jetstream: &str, top: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        let store = directory.path().join("store");
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 2MB\njetstream {{ store_dir: {store:?}\n{jetstream} }}\n{top}\n"
        );
        let path = directory.path().join("nats.conf");
        std::fs::write(&path, config).expect("the configuration is written");
        let child = launch(&path);
        Self { directory, port, child }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("the server can be killed");
        self.child.wait().expect("the server ends");
    }

    /// Starts it again with what it had stored.
    pub fn restart(&mut self) {
        self.child = launch(&self.directory.path().join("nats.conf"));
    }

    /// Removes what it had stored; only after [`Self::kill`].
    pub fn lose_everything(&self) {
        std::fs::remove_dir_all(self.directory.path().join("store")).expect("the store is removed");
    }

    pub fn options(&self, role: &Role) -> ConnectOptions {
        ConnectOptions::new(format!("nats://127.0.0.1:{}", self.port), "test", role)
            .credentials(role.user(), "secret")
    }

    pub async fn connect(&self, role: &Role) -> Connection {
        Connection::open(self.options(role)).await.expect("the server answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

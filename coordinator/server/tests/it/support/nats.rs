//! A real nats-server with the users of every role; killed on drop.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use maestro_streams::connect::{ConnectOptions, Connection};
use maestro_streams::topology::permission::{Role, permissions};

pub struct Nats {
    _directory: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Nats {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port =
            std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let worker = |pool: &str| Role::Worker(pool.parse().unwrap());
        let roles = [Role::Coordinator, Role::Api, worker("build"), worker("llm")];
        let config = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 2MB\n
             jetstream {{ store_dir: {:?}\nmax_file_store: 8GB }}\n
             authorization {{ users: [\n{}] }}\n",
            directory.path().join("store"),
            users(&roles)
        );
        let path = directory.path().join("nats.conf");
        std::fs::write(&path, config).unwrap();
        let child = Command::new(binary())
            .arg("-c")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server 2.12 or later: set MAESTRO_NATS_SERVER, or put it into .tools/bin or PATH");
        Self { _directory: directory, port, child }
    }

    pub fn options(&self, role: &Role) -> ConnectOptions {
        ConnectOptions::new(format!("nats://127.0.0.1:{}", self.port), "test", role)
            .credentials(role.user(), "secret")
    }

    pub async fn connect(&self, role: &Role) -> Connection {
        Connection::open(self.options(role)).await.unwrap()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn users(roles: &[Role]) -> String {
    let mut text = String::new();
    for role in roles {
        let allowed = permissions(role);
        writeln!(
            text,
            "{{ user: {:?}, password: secret, permissions: {{ publish: {{ allow: {:?} }}, subscribe: {{ allow: {:?} }}, allow_responses: {} }} }}",
            role.user(), allowed.publish, allowed.subscribe, role.answers()
        )
        .unwrap();
    }
    text
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("MAESTRO_NATS_SERVER") {
        return path.into();
    }
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|directory| directory.join(".tools/bin/nats-server"))
        .find(|path| path.exists())
        .unwrap_or_else(|| "nats-server".into())
}

//! A real Postgres, one for the whole test binary, a database for each test.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use maestro_server::store;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

static SERVER: OnceCell<Server> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server lives as long as this process: its parent's death takes it down.
struct Server {
    dir: PathBuf,
    _postgres: Child,
    _watch: Child,
}

/// A database of a test's own, with the tables in it.
pub struct Database {
    pub url: String,
}

impl Database {
    pub async fn new() -> Self {
        let server = SERVER.get_or_init(Server::start).await;
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut admin)
            .await
            .unwrap();
        let database = Self { url: server.url(&name) };
        store::migrate(&mut database.conn().await).await.unwrap();
        database
    }

    pub async fn conn(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    pub fn pool(&self) -> PgPool {
        store::connect::pool(store::connect::options(&self.url).unwrap(), 4)
    }

    pub fn fold(&self) -> store::connect::FoldConnection {
        store::connect::FoldConnection::new(store::connect::options(&self.url).unwrap())
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
            .fetch_one(&mut self.conn().await)
            .await
            .unwrap()
    }
}

impl Server {
    async fn start() -> Self {
        let bin = binaries();
        let dir = tempfile::Builder::new().prefix("maestro-pg-").tempdir().unwrap().keep();
        let data = dir.join("data");
        give_to_postgres(&dir);
        let init = command(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "maestro", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(init.status.success(), "initdb: {}", String::from_utf8_lossy(&init.stderr));
        let child = command(&bin.join("postgres"))
            .args(["-c", "fsync=off", "-c", "max_connections=200", "-c", "listen_addresses=", "-c"])
            .arg(format!("unix_socket_directories={}", dir.display()))
            .arg("-D")
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let watch = watch(&child, &dir);
        let server = Self { dir, _postgres: child, _watch: watch };
        server.wait().await;
        server
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://maestro@localhost/{database}?host={}", self.dir.display())
    }

    async fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while PgConnection::connect(&self.url("postgres")).await.is_err() {
            let log = || std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "Postgres did not start:\n{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Statics are not dropped, so a shell that sees this process go stops the server and clears up.
fn watch(server: &Child, dir: &Path) -> Child {
    let script = "while kill -0 \"$1\" 2>/dev/null; do sleep 0.2; done
                  kill -QUIT \"$2\"; while kill -0 \"$2\" 2>/dev/null; do sleep 0.1; done
                  rm -rf \"$3\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::process::id().to_string())
        .arg(server.id().to_string())
        .arg(dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn binaries() -> PathBuf {
    let named = std::env::var_os("MAESTRO_POSTGRES_BIN").map(PathBuf::from);
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/postgres/bin");
    let installed =
        (15..=18).rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    named
        .into_iter()
        .chain([fetched])
        .chain(installed)
        .find(|dir| dir.join("postgres").exists())
        .expect("Postgres 15 or later is needed: run `make tools`, install it, or set MAESTRO_POSTGRES_BIN to its bin directory")
}

/// Postgres refuses root; as root it runs as the user `postgres`, else `nobody`.
fn other_user() -> Option<(u32, u32)> {
    let user = || {
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| nix::unistd::User::from_name(name).ok().flatten())
    };
    nix::unistd::geteuid()
        .is_root()
        .then(user)
        .flatten()
        .map(|user| (user.uid.as_raw(), user.gid.as_raw()))
}

fn give_to_postgres(dir: &Path) {
    if let Some((uid, gid)) = other_user() {
        std::os::unix::fs::chown(dir, Some(uid), Some(gid)).unwrap();
    }
}

/// The other user keeps one capability, so that a checkout below a directory that only root may
/// enter will do.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = other_user() {
        command = Command::new("setpriv");
        command
            .args([format!("--reuid={uid}"), format!("--regid={gid}")])
            .args(["--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"])
            .args(["--securebits=+no_setuid_fixup", "--"])
            .arg(program);
    }
    command.env("LC_ALL", "C").current_dir("/");
    command
}

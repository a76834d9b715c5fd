//! Postgres alone, for tests that need no bus.

use std::path::Path;

use maestro_cli::local::postgres::{Options, Postgres};
use maestro_cli::local::tools::Search;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

/// A Postgres of one test; it ends when this is dropped.
pub struct Database {
    postgres: Postgres,
    _dir: TempDir,
}

impl Database {
    /// Starts it.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
        let tools = Search::from_env(root)
            .find()
            .await
            .unwrap_or_else(|error| panic!("{error}; `make tools` gets it"));
        let options = Options::new(tools.postgres, &dir.path().join("postgres"), super::PASSWORD);
        let postgres = Postgres::start(options).await.expect("Postgres starts");
        Self { postgres, _dir: dir }
    }

    /// The address of another, empty database in it.
    pub async fn another(&self, name: &str) -> String {
        let mut conn = PgConnection::connect(&self.postgres.url()).await.expect("Postgres answers");
        sqlx::query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut conn)
            .await
            .expect("a database is made");
        self.postgres.url_of(name)
    }
}

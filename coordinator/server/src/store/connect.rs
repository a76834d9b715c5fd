//! Connections: one of the fold's own, one of the collector's, one of the auditor's, and a small pool for everybody else.
//!
//! The fold's is no pool's, because a pool asks a connection whether it lives before it lends it,
//! which is a round trip for each commit. Its planner is pinned to what fits arrays against keyed
//! rows: without that, every fold reads the small tables whole.

use std::str::FromStr;
use std::time::Duration;

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::Landing;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::Error;
use super::commit::{STATEMENT_TIME_MAX, commit};

/// How long a connection may take to come about.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// The longest that a statement of the pool may take.
pub const POOL_STATEMENT_TIME_MAX: Duration = Duration::from_secs(15);

/// Reads a Postgres URL; its password appears in no error.
pub fn options(url: &str) -> Result<PgConnectOptions, Error> {
    let options = PgConnectOptions::from_str(url).map_err(Error::Address)?;
    Ok(options.disable_statement_logging())
}

/// A pool of at most `connections_max` for reads and for what no shard owns.
///
/// Connects when it is first used. Who waits longer than [`CONNECT_TIME_MAX`] for a connection
/// gets an error.
pub fn pool(options: PgConnectOptions, connections_max: u32) -> PgPool {
    let settings = [
        ("statement_timeout", POOL_STATEMENT_TIME_MAX.as_millis().to_string()),
        ("jit", "off".to_owned()),
    ];
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(CONNECT_TIME_MAX)
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options.application_name("maestro-api").options(settings))
}

/// The advisory lock of whoever collects objects, for as long as its connection lives.
const COLLECTING: i64 = 0x6d61_6573_7472_6f01;

/// The longest that a statement of the collector may take: it reads whole tables in pages.
const COLLECTING_TIME_MAX: Duration = Duration::from_secs(60);

/// How long the collector waits for those who hold objects just now.
const COLLECTING_WAIT_MAX: Duration = Duration::from_secs(5);

/// A connection that may collect objects until it is closed; none where another one may.
///
/// Its planner goes along the tables' keys: a page that is read by sorting a whole table costs the
/// table each time.
pub async fn collecting(options: &PgConnectOptions) -> Result<Option<PgConnection>, Error> {
    let settings = [
        ("jit", "off".to_owned()),
        ("enable_seqscan", "off".to_owned()),
        ("enable_sort", "off".to_owned()),
        ("statement_timeout", COLLECTING_TIME_MAX.as_millis().to_string()),
        ("lock_timeout", COLLECTING_WAIT_MAX.as_millis().to_string()),
    ];
    let options = options.clone().application_name("maestro-collector").options(settings);
    let action = "ask who collects objects";
    if_first(&options, COLLECTING, action).await
}

/// The advisory lock of whoever writes the audit log, for as long as its connection lives.
const AUDITING: i64 = 0x6d61_6573_7472_6f02;

/// The longest that a statement of the auditor may take.
const AUDITING_TIME_MAX: Duration = Duration::from_secs(30);

/// A connection that may write the audit log until it is closed; none where another one may.
pub async fn auditing(options: &PgConnectOptions) -> Result<Option<PgConnection>, Error> {
    let time_max = AUDITING_TIME_MAX.as_millis().to_string();
    let settings = [
        ("jit", "off".to_owned()),
        ("statement_timeout", time_max.clone()),
        ("lock_timeout", time_max.clone()),
        ("idle_in_transaction_session_timeout", time_max),
    ];
    let options = options.clone().application_name("maestro-auditor").options(settings);
    if_first(&options, AUDITING, "ask who audits").await
}

/// A connection that has the lock until it is closed; none where another one has it.
async fn if_first(
    options: &PgConnectOptions,
    lock: i64,
    action: &'static str,
) -> Result<Option<PgConnection>, Error> {
    let mut conn = open(options).await?;
    let is_ours: bool = sqlx::query_scalar("select pg_try_advisory_lock($1)")
        .bind(lock)
        .fetch_one(&mut conn)
        .await
        .map_err(Error::doing(action))?;
    Ok(is_ours.then_some(conn))
}

/// The fold's own connection, which comes back by itself.
#[derive(Debug)]
pub struct FoldConnection {
    options: PgConnectOptions,
    conn: Option<PgConnection>,
}

impl FoldConnection {
    /// Nothing is connected before it is first used.
    pub fn new(options: PgConnectOptions) -> Self {
        let settings = [
            ("jit", "off".to_owned()),
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("enable_seqscan", "off".to_owned()),
            ("enable_hashjoin", "off".to_owned()),
            ("enable_mergejoin", "off".to_owned()),
            ("statement_timeout", STATEMENT_TIME_MAX.as_millis().to_string()),
            ("idle_in_transaction_session_timeout", "5000".to_owned()),
        ];
        let options = options.application_name("maestro-fold").options(settings);
        Self { options, conn: None }
    }

    /// The connection, made anew where it is gone.
    pub async fn conn(&mut self) -> Result<&mut PgConnection, Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => open(&self.options).await?,
        };
        Ok(self.conn.insert(conn))
    }

    /// Forgets the connection: after an error that leaves open in what state it is.
    pub fn drop_connection(&mut self) {
        self.conn = None;
    }

    /// Writes a commit. Where nobody knows what became of it, the connection is dropped, so that
    /// the next call asks over a new one.
    ///
    /// # Errors
    /// [`Error::Counts`] only.
    pub async fn commit(&mut self, batch: &Commit) -> Result<Landing, Error> {
        let conn = match self.conn().await {
            Ok(conn) => conn,
            Err(error) => {
                tracing::warn!(%error, "the database cannot be reached for a commit");
                return Ok(Landing::Unknown);
            }
        };
        let landing = commit(conn, batch).await;
        if matches!(landing, Ok(Landing::Unknown)) {
            self.drop_connection();
        }
        landing
    }
}

async fn open(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    tokio::time::timeout(CONNECT_TIME_MAX, PgConnection::connect_with(options))
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(Error::doing("connect"))
}

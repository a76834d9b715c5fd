//! The truth in Postgres: one aggregate per file, one statement per function.
//!
//! | who calls | what |
//! |---|---|
//! | the fold | [`connect::FoldConnection`], [`shard`], [`load`], [`set_aside`] |
//! | the api and intake | [`plan`], [`submission`], [`run`], [`step`], [`attempt`], [`audit`], … over a pool |
//! | background | [`notice`], [`coordinator`], [`named`], [`project_object`], [`audit_log`] |
//!
//! Run state is changed by [`commit::commit`], and where that is not possible by
//! [`set_aside::set_aside`]; by nothing else here. Values that people or
//! workers gave are stored as text of JSON and come back letter by letter.

pub mod action;
pub mod attempt;
pub mod audit;
pub mod audit_act;
pub mod audit_entry;
pub mod audit_log;
pub mod commit;
pub mod connect;
pub mod coordinator;
pub mod durations;
pub mod evidence;
mod json;
pub mod key_ring;
pub mod load;
pub mod model_call;
pub mod named;
pub mod notice;
mod number;
pub mod plan;
pub mod probe;
pub mod project_object;
pub mod promotion;
pub mod prompt;
mod records;
pub mod result;
pub mod route_decision;
pub mod run;
pub mod run_event;
pub mod run_state;
pub mod secret;
pub mod secret_delivery;
pub mod secret_key;
pub mod set_aside;
pub mod settlement;
pub mod shard;
pub mod step;
pub mod submission;
pub mod tested;
pub mod token;
pub mod unsigned;

use sqlx::PgConnection;

/// Why the database could not be asked, or what it answered could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not answer, or refused.
    #[error("the database failed: {action}")]
    Database {
        /// What was being done, as `read a run`.
        action: &'static str,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// A statement of a commit changed another number of rows than it was given: a bug, or a lost
    /// fence. Nothing of the commit stands.
    #[error("the commit does not fit the rows: {0}")]
    Counts(String),
    /// A row holds what this build cannot read.
    #[error("{what} in the database cannot be read: {found}")]
    Unreadable {
        /// Which column or row.
        what: &'static str,
        /// What was found, cut to 200 characters.
        found: String,
    },
    /// The cluster was laid out for another number of shards.
    #[error(
        "the database is laid out for {found} shards, and {wanted} were asked for; the number is fixed when a cluster begins"
    )]
    ShardCount {
        /// How many there are.
        found: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// The tables could not be brought to this build's form.
    #[error("the database's tables could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The address is none.
    #[error("the database's address is not a Postgres URL")]
    Address(#[source] sqlx::Error),
}

/// Classes of SQLSTATE that are about what is stored.
pub(crate) const DATA: [&str; 3] = ["22", "23", "54"];

impl Error {
    /// For `map_err`: names what was being done.
    pub(crate) fn doing(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }

    /// Whether it is about what was to be stored, so that trying again does not help: SQLSTATE classes 22 (no
    /// data), 23 (constraints) and 54 (limits).
    pub(crate) fn is_of_data(&self) -> bool {
        let Self::Database { source, .. } = self else { return true };
        let code = source.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        DATA.iter().any(|class| code.starts_with(class))
    }

    fn unreadable(what: &'static str, found: impl std::fmt::Display) -> Self {
        Self::Unreadable { what, found: found.to_string().chars().take(200).collect() }
    }
}

/// Brings the tables to this build's form. Several processes may do so at once.
pub async fn migrate(conn: &mut PgConnection) -> Result<(), Error> {
    sqlx::migrate!("./migrations").run_direct(None, conn, false).await.map_err(Error::Migration)
}

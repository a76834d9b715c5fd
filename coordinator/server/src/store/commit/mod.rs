//! Writes a fold's commit: one round trip, one statement, all or nothing.
//!
//! Called by the fold alone, over its own connection and outside any transaction, so that an owner
//! that is stopped in the middle holds nothing open. What must stay true: after
//! [`Landing::Done`] all of it stands, after every other answer but [`Landing::Unknown`] nothing
//! does, and the same commit sent again lands once (`tests/it/store_commit.rs`).
//!
//! The lists must be net: deletions of `dispatch` and `timer` are done before insertions, so a row
//! that one commit both makes and ends stands in neither list.

mod columns;
mod records;

use std::time::Duration;

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::Landing;
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;

use super::{DATA, Error};

/// For how long a commit renews its shards' leases.
pub const LEASE: Duration = Duration::from_secs(4);

/// How long a commit may take in the server before it is undone.
pub const STATEMENT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long an answer is waited for before nobody knows what became of the commit.
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(12);

/// What `commit_batch` raises where a shard has another epoch or batch.
const REFUSED: &str = "MA001";

/// What it raises where rows and lists do not fit.
const COUNTS: &str = "MA002";

const COMMIT: &str = "
select commit_batch(
  $1 * interval '1 millisecond',
  $2, $3, $4, $5,
  $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
  $18, $19, $20, $21,
  $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40,
  $41,
  $42::json, $43::json, $44::json, $45::json, $46::json, $47::json, $48::json, $49::json,
  $50::json, $51::json),
  case when $52::json is not null then record_calls($52::json) end";

/// Why a commit cannot even be sent.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Number(#[from] super::number::TooLarge),
    #[error("a value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("a list cannot be sent: {0}")]
    Argument(sqlx::error::BoxDynError),
}

/// Writes a commit and says what became of it.
///
/// After [`Landing::Unknown`] the connection is in no state to be used again.
///
/// # Errors
/// [`Error::Counts`] only: the commit does not fit the rows, and nothing of it stands.
pub async fn commit(conn: &mut PgConnection, commit: &Commit) -> Result<Landing, Error> {
    let arguments = match arguments(commit) {
        Ok(arguments) => arguments,
        Err(unfit) => return Ok(Landing::Unacceptable(unfit.to_string())),
    };
    let sent = sqlx::query_scalar_with::<_, String, _>(COMMIT, arguments).fetch_one(conn);
    match tokio::time::timeout(ANSWER_TIME_MAX, sent).await {
        Ok(Ok(_)) => Ok(Landing::Done),
        Ok(Err(error)) => landing_of(&error),
        Err(_) => Ok(Landing::Unknown),
    }
}

fn arguments(commit: &Commit) -> Result<PgArguments, Unfit> {
    let mut columns = columns::Columns::for_lease(LEASE)?;
    columns.shards(&commit.shards)?;
    columns.dispatched(&commit.dispatched)?;
    columns.undispatched(&commit.undispatched)?;
    columns.attempts(&commit.attempts)?;
    columns.records(records::steps(&commit.steps)?)?;
    columns.records(records::runs_begun(&commit.runs_begun)?)?;
    columns.records(records::runs_changed(&commit.runs_changed)?)?;
    columns.records(records::fanouts(&commit.fanouts)?)?;
    columns.records(records::timers_set(&commit.timers_set)?)?;
    columns.records(records::timers_cleared(&commit.timers_cleared)?)?;
    columns.records(records::run_events(&commit.run_events)?)?;
    columns.records(records::audits(&commit.audits)?)?;
    columns.records(records::notices(&commit.notices)?)?;
    columns.records(records::results(&commit.results)?)?;
    columns.records(records::calls(&commit.calls)?)?;
    Ok(columns.into_arguments())
}

/// Classes 22 and 23 say that a value is no data, 54 that it is too much; a row that is there
/// already, or twice in a list, is a matter of counts. Anything else leaves it open.
fn landing_of(error: &sqlx::Error) -> Result<Landing, Error> {
    let Some(answer) = error.as_database_error() else {
        tracing::warn!(%error, "a commit was not answered");
        return Ok(Landing::Unknown);
    };
    let code = answer.code().unwrap_or_default();
    match code.as_ref() {
        REFUSED => Ok(Landing::Refused),
        COUNTS | "23505" | "21000" => Err(Error::Counts(answer.message().to_owned())),
        data if DATA.iter().any(|class| data.starts_with(class)) => {
            Ok(Landing::Unacceptable(format!("{} ({data})", answer.message())))
        }
        other => {
            tracing::warn!(code = other, message = answer.message(), "a commit failed");
            Ok(Landing::Unknown)
        }
    }
}

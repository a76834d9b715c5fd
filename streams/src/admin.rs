//! What an owner does to streams besides reading and publishing: purges, pauses, looks.
//!
//! Each is one attempt; who calls repeats it while its reason lives.

use std::time::Duration;

use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api;
use crate::connect::Connection;
use crate::ensure;
use crate::topology::subject::{self, Subject};
use crate::topology::{priority_token, task_stream};

/// What a stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
    /// The number of the first message that it holds.
    pub first_sequence: u64,
    /// The number of the last message that it was given.
    pub last_sequence: u64,
    /// When it was made, by the server's clock.
    pub created: String,
}

/// Where a consumer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerState {
    /// Messages that it has not given out yet.
    pub pending: u64,
    /// Messages that it has given out and that are not acked.
    pub ack_pending: u64,
    /// Of these, those that it gave out more than once.
    pub redelivered: u64,
    /// Pulls that wait.
    pub waiting: u64,
}

#[derive(Deserialize)]
struct Purged {
    purged: u64,
}

/// What a stream holds; `None` where there is no such stream.
pub async fn stream_state(
    connection: &Connection,
    stream: &str,
) -> Result<Option<StreamState>, api::Error> {
    let info = ensure::stream_info(connection, stream).await?;
    Ok(info.map(|info| StreamState {
        messages: info.state.messages,
        bytes: info.state.bytes,
        first_sequence: info.state.first_seq,
        last_sequence: info.state.last_seq,
        created: info.created,
    }))
}

/// Where a consumer stands; `None` where there is no such consumer.
pub async fn consumer_state(
    connection: &Connection,
    stream: &str,
    consumer: &str,
) -> Result<Option<ConsumerState>, api::Error> {
    let info = ensure::consumer_info(connection, stream, consumer).await?;
    Ok(info.map(|info| ConsumerState {
        pending: info.num_pending,
        ack_pending: info.num_ack_pending,
        redelivered: info.num_redelivered,
        waiting: info.num_waiting,
    }))
}

/// Removes the messages that `filter` names, whether delivered or not; answers how many.
pub async fn purge(
    connection: &Connection,
    stream: &str,
    filter: &Subject,
) -> Result<u64, api::Error> {
    let what = format!("STREAM.PURGE.{stream}");
    let body = json!({ "filter": filter.as_str() });
    match api::ask::<Purged>(connection, &what, &body).await {
        Ok(Purged { purged }) => Ok(purged),
        Err(error) if error.number() == Some(api::STREAM_NOT_FOUND) => Ok(0),
        Err(error) => Err(error),
    }
}

/// Removes a stream with all that it holds; what was not there is no error.
pub async fn delete_stream(connection: &Connection, stream: &str) -> Result<(), api::Error> {
    let what = format!("STREAM.DELETE.{stream}");
    match api::ask::<Value>(connection, &what, &Value::Null).await {
        Err(error) if error.number() != Some(api::STREAM_NOT_FOUND) => Err(error),
        _ => Ok(()),
    }
}

/// Removes a run's tasks from a pool.
pub async fn purge_run(
    connection: &Connection,
    pool: &PoolName,
    run: RunId,
) -> Result<u64, api::Error> {
    purge(connection, &task_stream(pool), &subject::tasks_of_run(pool, run)).await
}

/// Removes an attempt's task from a pool.
pub async fn purge_attempt(
    connection: &Connection,
    pool: &PoolName,
    run: RunId,
    step: StepAddress,
    token: AttemptToken,
) -> Result<u64, api::Error> {
    let filter = subject::tasks_of_attempt(pool, run, step, token);
    purge(connection, &task_stream(pool), &filter).await
}

/// Lets no worker of a pool have a task for this long; heartbeats and running steps go on.
pub async fn pause_pool(
    connection: &Connection,
    pool: &PoolName,
    period: Duration,
) -> Result<(), api::Error> {
    let until = std::time::SystemTime::now() + period;
    let until = until.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    pause(connection, pool, &json!({ "pause_until": rfc3339(until.as_secs()) })).await
}

/// Lets the workers of a pool have tasks again.
pub async fn resume_pool(connection: &Connection, pool: &PoolName) -> Result<(), api::Error> {
    pause(connection, pool, &json!({})).await
}

async fn pause(connection: &Connection, pool: &PoolName, body: &Value) -> Result<(), api::Error> {
    let stream = task_stream(pool);
    for priority in Priority::ALL {
        let what = format!("CONSUMER.PAUSE.{stream}.{}", priority_token(priority));
        api::ask::<Value>(connection, &what, body).await?;
    }
    Ok(())
}

/// Civil time of a count of seconds since 1970 (Howard Hinnant's `civil_from_days`).
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn civil_time_is_right_around_leap_days() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_868_799), "2000-02-29T23:59:59Z");
        assert_eq!(rfc3339(1_795_000_000), "2026-11-18T11:06:40Z");
    }
}

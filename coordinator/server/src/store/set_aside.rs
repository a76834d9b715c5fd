//! Quarantines runs that their shard's new owner cannot read: the one change of a run that no
//! commit makes, because no memory of the run can be had.

use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::step::RunState;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::load::Unreadable;
use super::shard::Acquired;
use super::{Error, json};

/// The longest cause that is kept, in characters.
const CAUSE_CHARS_MAX: usize = 1_000;

/// Runs that were set aside.
#[derive(Debug)]
pub struct SetAside {
    /// The batch that did it: the shard's last from now on.
    pub batch: u64,
    /// What is told of them, as it was kept.
    pub events: Vec<Event>,
    /// Pools that may still have tasks of them.
    pub pools: Vec<(RunId, PoolName)>,
}

/// Sets runs aside in one statement, fenced by the epoch and batch under which they were read.
pub async fn set_aside(
    db: impl PgExecutor<'_>,
    (shard, acquired): (u16, Acquired),
    now_ms: u64,
    runs: &[Unreadable],
) -> Result<SetAside, Error> {
    let batch = acquired.batch + 1;
    let at_ms = now_ms.max(acquired.clock_ms);
    let causes: Vec<String> = runs.iter().map(|run| cause(&run.reason)).collect();
    let event = |(run, cause): (&Unreadable, &String)| {
        let kind = EventKind::Run { state: RunState::Quarantined, cause: Some(cause.clone()) };
        Event { run: run.run, batch, at_ms, kind }
    };
    let events: Vec<Event> = runs.iter().zip(&causes).map(event).collect();
    let texts: Result<Vec<String>, _> = events.iter().map(json::text).collect();
    let ids: Vec<Uuid> = runs.iter().map(|run| run.run.uuid()).collect();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let pools: Vec<(Uuid, String)> =
        sqlx::query_as("select * from set_runs_aside($1, $2, $3, $4, $5, $6, $7)")
            .bind(i32::from(shard))
            .bind(number(acquired.epoch))
            .bind(number(batch))
            .bind(number(at_ms))
            .bind(ids)
            .bind(causes)
            .bind(texts.map_err(|error| Error::unreadable("event", error))?)
            .fetch_all(db)
            .await
            .map_err(Error::doing("set runs aside"))?;
    let pool = |(run, pool): (Uuid, String)| Some((RunId::from_uuid(run), pool.parse().ok()?));
    Ok(SetAside { batch, events, pools: pools.into_iter().filter_map(pool).collect() })
}

/// Why a run is set aside, as one line that a row can hold.
pub fn cause(reason: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let reason = reason.chars().take(CAUSE_CHARS_MAX).map(plain).collect::<String>();
    format!("its rows cannot be read: {reason}")
}

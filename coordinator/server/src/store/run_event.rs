//! What happened to a run, from its rows, in the order of its shard's batches: what an event
//! stream resumes from.

use maestro_schemas::event::Event;
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::Failure;
use maestro_schemas::step::{StepAddress, StepState};
use sqlx::{FromRow, PgExecutor};

use super::number::unsigned;
use super::{Error, json};

/// A row's place in the order; what is told next comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The batch.
    pub batch: u64,
    source: i32,
    numbers: [i32; 4],
}

impl Place {
    /// After all that a batch wrote.
    pub const fn after(batch: u64) -> Self {
        Self { batch, source: i32::MAX, numbers: [0; 4] }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// Its place.
    pub place: Place,
    /// When, by the shard's clock.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A step changed its state.
    Step {
        /// The step.
        address: StepAddress,
        /// The attempt's number; 0 where it ended without one.
        attempt: u32,
        /// The new state.
        state: StepState,
        /// What went wrong, where something did.
        failure: Option<Failure>,
    },
    /// Something that is no attempt, as it was told.
    Run(Box<Event>),
}

const SINCE: &str = "
  select batch, source, a, b, c, d, at_ms, state, failure::text as failure, event::text as event
    from (
      select batch, 0 as source, node as a, item as b, visit as c, number as d,
             ended_at_ms as at_ms, state, failure, null::json as event
        from attempt where run = $1 and batch >= $2
      union all
      select batch, 1, node, item, visit, 0, ended_at_ms, state, null, null
        from step where run = $1 and batch >= $2
      union all
      select batch, 2, ordinal, 0, 0, 0, at_ms, null, null, event
        from run_event where run = $1 and batch >= $2) happened
   where (batch, source, a, b, c, d) > ($2, $3, $4, $5, $6, $7)
   order by batch, source, a, b, c, d
   limit $8";

/// What happened to a run after a place. Within a batch, a run's own end comes last.
pub async fn since(
    db: impl PgExecutor<'_>,
    run: RunId,
    after: Place,
    count_max: u16,
) -> Result<Vec<Happened>, Error> {
    let [a, b, c, d] = after.numbers;
    let rows: Vec<Record> = sqlx::query_as(SINCE)
        .bind(run.uuid())
        .bind(i64::try_from(after.batch).unwrap_or(i64::MAX))
        .bind(after.source)
        .bind(a)
        .bind(b)
        .bind(c)
        .bind(d)
        .bind(i32::from(count_max))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read a run's events"))?;
    rows.into_iter().map(Record::happened).collect()
}

#[derive(FromRow)]
struct Record {
    batch: i64,
    source: i32,
    a: i32,
    b: i32,
    c: i32,
    d: i32,
    at_ms: i64,
    state: Option<String>,
    failure: Option<String>,
    event: Option<String>,
}

impl Record {
    fn happened(self) -> Result<Happened, Error> {
        Ok(Happened {
            place: Place {
                batch: unsigned("batch", self.batch)?,
                source: self.source,
                numbers: [self.a, self.b, self.c, self.d],
            },
            at_ms: unsigned("at_ms", self.at_ms)?,
            what: self.what()?,
        })
    }

    fn what(&self) -> Result<What, Error> {
        if let Some(event) = &self.event {
            return Ok(What::Run(Box::new(json::value("run_event.event", event)?)));
        }
        let state = self.state.as_deref().unwrap_or_default();
        Ok(What::Step {
            address: StepAddress {
                node: unsigned("node", self.a)?,
                item: unsigned("item", self.b)?,
                visit: unsigned("visit", self.c)?,
            },
            attempt: unsigned("number", self.d)?,
            state: StepState::parse(state).ok_or_else(|| Error::unreadable("step state", state))?,
            failure: json::value_if_any("attempt.failure", self.failure.as_deref())?,
        })
    }
}

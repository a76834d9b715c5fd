//! The lists of a plain step as arrays, a column each, in the order of `commit_batch`.

use std::time::Duration;

use maestro_engine::shard::commit::{AttemptRow, DispatchRow, ShardAdvance};
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use sqlx::postgres::{PgArguments, PgHasArrayType};
use sqlx::{Arguments, Encode, Postgres, Type};
use uuid::Uuid;

use super::Unfit;
use crate::store::json::text;
use crate::store::number::{TooLarge, bigint, int};

/// The arguments of a commit, filled from the left.
pub(super) struct Columns(PgArguments);

impl Columns {
    pub(super) fn for_lease(lease: Duration) -> Result<Self, Unfit> {
        let mut columns = Self(PgArguments::default());
        let lease_ms = i32::try_from(lease.as_millis()).unwrap_or(i32::MAX);
        columns.add(lease_ms)?;
        Ok(columns)
    }

    pub(super) fn into_arguments(self) -> PgArguments {
        self.0
    }

    pub(super) fn shards(&mut self, rows: &[ShardAdvance]) -> Result<(), Unfit> {
        self.column(rows, |row| Ok(i32::from(row.shard)))?;
        self.column(rows, |row| bigint("shard.epoch", row.epoch))?;
        self.column(rows, |row| bigint("shard.batch", row.batch))?;
        self.column(rows, |row| bigint("shard.clock_ms", row.clock_ms))
    }

    pub(super) fn dispatched(&mut self, rows: &[DispatchRow]) -> Result<(), Unfit> {
        self.places(rows, |row| (row.run, row.step))?;
        self.column(rows, |row| Ok(i32::from(row.shard)))?;
        self.column(rows, |row| int("dispatch.number", row.token.number))?;
        self.column(rows, |row| bigint("dispatch.epoch", row.token.epoch))?;
        self.column(rows, |row| Ok(i32::from(row.lapses)))?;
        self.column(rows, |row| Ok(row.pool.as_str()))?;
        self.column(rows, |row| Ok(row.project.as_str()))?;
        self.column(rows, |row| Ok(i16::from(row.priority)))?;
        self.column(rows, |row| bigint("dispatch.decided_at_ms", row.decided_at_ms))
    }

    pub(super) fn undispatched(&mut self, rows: &[(RunId, StepAddress)]) -> Result<(), Unfit> {
        self.places(rows, |row| *row)
    }

    pub(super) fn attempts(&mut self, rows: &[AttemptRow]) -> Result<(), Unfit> {
        self.places(rows, |row| (row.run, row.step))?;
        self.column(rows, |row| int("attempt.number", row.token.number))?;
        self.column(rows, |row| Ok(i32::from(row.shard)))?;
        self.column(rows, |row| bigint("attempt.epoch", row.token.epoch))?;
        self.column(rows, |row| bigint("attempt.batch", row.batch))?;
        self.column(rows, |row| Ok(row.state.as_str()))?;
        self.column(rows, |row| Ok(row.outcome.as_str()))?;
        self.column(rows, |row| bigint("attempt.decided_at_ms", row.decided_at_ms))?;
        self.column(rows, |row| bigint("attempt.ended_at_ms", row.ended_at_ms))?;
        self.column(rows, |row| Ok(row.execution.map(|id| id.uuid())))?;
        self.column(rows, |row| Ok(row.worker.as_deref()))?;
        self.column(rows, |row| bigint("attempt.wall_ms", row.usage.wall_ms))?;
        self.column(rows, |row| bigint("attempt.cpu_ms", row.usage.cpu_ms))?;
        self.column(rows, |row| bigint("attempt.cost_microusd", row.usage.cost_microusd))?;
        self.texts(rows, |row| row.failure.as_ref().map(text))?;
        self.texts(rows, |row| (!row.outputs.is_empty()).then(|| text(&row.outputs)))?;
        self.texts(rows, |row| (!row.artifacts.is_empty()).then(|| text(&row.artifacts)))
    }

    /// A rare list as one text of JSON; absent where the list is empty.
    pub(super) fn records(&mut self, records: Option<String>) -> Result<(), Unfit> {
        self.add(records)
    }

    /// Run, node, item and visit.
    fn places<R>(
        &mut self,
        rows: &[R],
        place: impl Fn(&R) -> (RunId, StepAddress),
    ) -> Result<(), Unfit> {
        self.column(rows, |row| Ok::<Uuid, TooLarge>(place(row).0.uuid()))?;
        self.column(rows, |row| int("node", place(row).1.node))?;
        self.column(rows, |row| int("item", place(row).1.item))?;
        self.column(rows, |row| int("visit", place(row).1.visit))
    }

    fn column<'r, R, T>(
        &mut self,
        rows: &'r [R],
        value: impl Fn(&'r R) -> Result<T, TooLarge>,
    ) -> Result<(), Unfit>
    where
        Vec<T>: Encode<'r, Postgres> + Type<Postgres>,
        T: PgHasArrayType,
    {
        let values = rows.iter().map(value).collect::<Result<Vec<T>, TooLarge>>()?;
        self.add(values)
    }

    fn texts<'r, R>(
        &mut self,
        rows: &'r [R],
        value: impl Fn(&'r R) -> Option<Result<String, serde_json::Error>>,
    ) -> Result<(), Unfit> {
        let values = rows.iter().map(|row| value(row).transpose());
        self.add(values.collect::<Result<Vec<Option<String>>, serde_json::Error>>()?)
    }

    fn add<'t, T: Encode<'t, Postgres> + Type<Postgres>>(&mut self, value: T) -> Result<(), Unfit> {
        self.0.add(value).map_err(Unfit::Argument)
    }
}

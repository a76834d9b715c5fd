//! Rows as Postgres gives them, and what they say as the engine's types.

use maestro_engine::shard::commit::{
    AttemptOutcome, AttemptRow, DispatchRow, FanoutRow, RunChange, RunCounts, RunRow, StepRow,
    TimerRow,
};
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::report::Usage;
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use sqlx::FromRow;
use uuid::Uuid;

use super::number::unsigned;
use super::{Error, json};

#[derive(FromRow)]
pub(crate) struct RunRecord {
    pub(crate) id: Uuid,
    pub(crate) project: String,
    pub(crate) shard: i32,
    pipeline: String,
    state: String,
    pub(crate) plan: Vec<u8>,
    labels: String,
    rerun: Option<String>,
    created_at_ms: i64,
    begun_batch: i64,
    begun_steps: i64,
    changed_batch: Option<i64>,
    cause: Option<String>,
    cancel_reason: Option<String>,
    cancelled_again: bool,
    steps_total: i64,
    steps_ended: i64,
    steps_failed: i64,
    steps_cached: i64,
    cost_microusd: i64,
    work_ms: i64,
    outputs: Option<String>,
    ended_at_ms: Option<i64>,
}

impl RunRecord {
    pub(crate) fn has_ended(&self) -> bool {
        RunState::parse(&self.state).is_some_and(RunState::is_final)
    }

    /// The row as it was inserted: it began running.
    pub(crate) fn row(&self) -> Result<RunRow, Error> {
        Ok(RunRow {
            id: RunId::from_uuid(self.id),
            project: name("run.project", &self.project)?,
            shard: unsigned("run.shard", self.shard)?,
            pipeline: self.pipeline.clone(),
            state: if self.changed_batch.is_some() { RunState::Running } else { self.state()? },
            plan: json::digest("run.plan", &self.plan)?,
            labels: json::value("run.labels", &self.labels)?,
            rerun: json::value_if_any("run.rerun", self.rerun.as_deref())?,
            created_at_ms: unsigned("run.created_at_ms", self.created_at_ms)?,
            batch: unsigned("run.begun_batch", self.begun_batch)?,
            steps_total: unsigned("run.begun_steps", self.begun_steps)?,
        })
    }

    pub(crate) fn change(&self) -> Result<Option<RunChange>, Error> {
        let Some(batch) = self.changed_batch else { return Ok(None) };
        Ok(Some(RunChange {
            id: RunId::from_uuid(self.id),
            batch: unsigned("run.changed_batch", batch)?,
            state: self.state()?,
            cause: self.cause.clone(),
            cancel_reason: self.cancel_reason.clone(),
            cancelled_again: self.cancelled_again,
            counts: RunCounts {
                steps_total: unsigned("run.steps_total", self.steps_total)?,
                steps_ended: unsigned("run.steps_ended", self.steps_ended)?,
                steps_failed: unsigned("run.steps_failed", self.steps_failed)?,
                steps_cached: unsigned("run.steps_cached", self.steps_cached)?,
                cost_microusd: unsigned("run.cost_microusd", self.cost_microusd)?,
                work_ms: unsigned("run.work_ms", self.work_ms)?,
            },
            outputs: json::value_or_empty("run.outputs", self.outputs.as_deref())?,
            ended_at_ms: self.ended_at_ms.map(|at| unsigned("run.ended_at_ms", at)).transpose()?,
        }))
    }

    fn state(&self) -> Result<RunState, Error> {
        RunState::parse(&self.state).ok_or_else(|| Error::unreadable("run.state", &self.state))
    }
}

#[derive(FromRow)]
pub(crate) struct PlanRecord {
    pub(crate) project: String,
    pub(crate) digest: Vec<u8>,
    pub(crate) body: String,
}

#[derive(FromRow)]
pub(crate) struct Place {
    pub(crate) run: Uuid,
    node: i32,
    item: i32,
    visit: i32,
}

impl Place {
    fn run(&self) -> RunId {
        RunId::from_uuid(self.run)
    }

    fn step(&self) -> Result<StepAddress, Error> {
        Ok(StepAddress {
            node: unsigned("node", self.node)?,
            item: unsigned("item", self.item)?,
            visit: unsigned("visit", self.visit)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct StepRecord {
    #[sqlx(flatten)]
    pub(crate) place: Place,
    batch: i64,
    state: String,
    reason: String,
    blocks: bool,
    ended_at_ms: i64,
    outputs: Option<String>,
    artifacts: Option<String>,
}

impl StepRecord {
    pub(crate) fn row(self) -> Result<StepRow, Error> {
        Ok(StepRow {
            run: self.place.run(),
            step: self.place.step()?,
            batch: unsigned("step.batch", self.batch)?,
            state: step_state(&self.state)?,
            reason: self.reason,
            blocks: self.blocks,
            ended_at_ms: unsigned("step.ended_at_ms", self.ended_at_ms)?,
            outputs: json::value_or_empty("step.outputs", self.outputs.as_deref())?,
            artifacts: json::value_or_empty("step.artifacts", self.artifacts.as_deref())?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct AttemptRecord {
    #[sqlx(flatten)]
    pub(crate) place: Place,
    number: i32,
    shard: i32,
    epoch: i64,
    batch: i64,
    state: String,
    outcome: String,
    decided_at_ms: i64,
    ended_at_ms: i64,
    execution: Option<Uuid>,
    worker: Option<String>,
    wall_ms: i64,
    cpu_ms: i64,
    cost_microusd: i64,
    failure: Option<String>,
    outputs: Option<String>,
    artifacts: Option<String>,
}

impl AttemptRecord {
    pub(crate) fn row(self) -> Result<AttemptRow, Error> {
        Ok(AttemptRow {
            run: self.place.run(),
            step: self.place.step()?,
            shard: unsigned("attempt.shard", self.shard)?,
            token: token(self.number, self.epoch)?,
            batch: unsigned("attempt.batch", self.batch)?,
            state: step_state(&self.state)?,
            outcome: outcome(&self.outcome)?,
            decided_at_ms: unsigned("attempt.decided_at_ms", self.decided_at_ms)?,
            ended_at_ms: unsigned("attempt.ended_at_ms", self.ended_at_ms)?,
            execution: self.execution.map(ExecutionId::from_uuid),
            worker: self.worker,
            usage: usage(self.wall_ms, self.cpu_ms, self.cost_microusd)?,
            failure: json::value_if_any("attempt.failure", self.failure.as_deref())?,
            outputs: json::value_or_empty("attempt.outputs", self.outputs.as_deref())?,
            artifacts: json::value_or_empty("attempt.artifacts", self.artifacts.as_deref())?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ItemRecord {
    pub(crate) run: Uuid,
    node: i32,
    item: i32,
    state: String,
}

impl ItemRecord {
    pub(crate) fn row(self) -> Result<(u32, u32, StepState), Error> {
        Ok((unsigned("node", self.node)?, unsigned("item", self.item)?, step_state(&self.state)?))
    }
}

#[derive(FromRow)]
pub(crate) struct DispatchRecord {
    #[sqlx(flatten)]
    pub(crate) place: Place,
    shard: i32,
    number: i32,
    epoch: i64,
    lapses: i32,
    pool: String,
    project: String,
    priority: i16,
    decided_at_ms: i64,
}

impl DispatchRecord {
    pub(crate) fn row(self) -> Result<DispatchRow, Error> {
        Ok(DispatchRow {
            run: self.place.run(),
            step: self.place.step()?,
            shard: unsigned("dispatch.shard", self.shard)?,
            token: token(self.number, self.epoch)?,
            lapses: unsigned("dispatch.lapses", self.lapses)?,
            pool: name("dispatch.pool", &self.pool)?,
            project: name("dispatch.project", &self.project)?,
            priority: unsigned("dispatch.priority", self.priority)?,
            decided_at_ms: unsigned("dispatch.decided_at_ms", self.decided_at_ms)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct TimerRecord {
    #[sqlx(flatten)]
    pub(crate) place: Place,
    attempt: i32,
    lapses: i32,
    due_at_ms: i64,
}

impl TimerRecord {
    pub(crate) fn row(self) -> Result<TimerRow, Error> {
        Ok(TimerRow {
            run: self.place.run(),
            step: self.place.step()?,
            attempt: unsigned("timer.attempt", self.attempt)?,
            lapses: unsigned("timer.lapses", self.lapses)?,
            due_at_ms: unsigned("timer.due_at_ms", self.due_at_ms)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct FanoutRecord {
    pub(crate) run: Uuid,
    node: i32,
    batch: i64,
    count: i32,
    cursor: i32,
    items: Option<String>,
    closed: bool,
    reused: Option<Vec<u8>>,
}

impl FanoutRecord {
    pub(crate) fn row(self) -> Result<FanoutRow, Error> {
        Ok(FanoutRow {
            run: RunId::from_uuid(self.run),
            node: unsigned("fanout.node", self.node)?,
            batch: unsigned("fanout.batch", self.batch)?,
            count: unsigned("fanout.count", self.count)?,
            cursor: unsigned("fanout.cursor", self.cursor)?,
            items: json::value_if_any("fanout.items", self.items.as_deref())?,
            closed: self.closed,
            reused: self.reused,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct SpentRecord {
    pub(crate) run: Uuid,
    wall_ms: i64,
    cpu_ms: i64,
    cost_microusd: i64,
}

impl SpentRecord {
    pub(crate) fn row(self) -> Result<Usage, Error> {
        usage(self.wall_ms, self.cpu_ms, self.cost_microusd)
    }
}

fn token(number: i32, epoch: i64) -> Result<AttemptToken, Error> {
    Ok(AttemptToken { number: unsigned("number", number)?, epoch: unsigned("epoch", epoch)? })
}

fn usage(wall_ms: i64, cpu_ms: i64, cost_microusd: i64) -> Result<Usage, Error> {
    Ok(Usage {
        wall_ms: unsigned("wall_ms", wall_ms)?,
        cpu_ms: unsigned("cpu_ms", cpu_ms)?,
        cost_microusd: unsigned("cost_microusd", cost_microusd)?,
    })
}

fn step_state(text: &str) -> Result<StepState, Error> {
    StepState::parse(text).ok_or_else(|| Error::unreadable("step state", text))
}

fn outcome(text: &str) -> Result<AttemptOutcome, Error> {
    [AttemptOutcome::Succeeded, AttemptOutcome::Failed, AttemptOutcome::Cancelled]
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
        .ok_or_else(|| Error::unreadable("attempt.outcome", text))
}

fn name<T: std::str::FromStr>(column: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::unreadable(column, text))
}

//! What one commit changes, as rows: the only write path of run state.
//!
//! The fold makes a [`Commit`] from the events that it applied; the server writes it in one
//! round trip and all or nothing. The first two lists are the path of a step and are sent as
//! arrays; the others are rare.

use std::collections::BTreeMap;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, ExecutionId, RunId};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::outcome::{Failure, Outputs};
use maestro_schemas::report::{ModelCall, Usage};
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::CheckedPlan;

/// One atomic change of the truth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// The shards that it belongs to; each advances from `batch - 1` to `batch` at its epoch.
    pub shards: Vec<ShardAdvance>,
    /// Attempts that were decided: rows to insert.
    pub dispatched: Vec<DispatchRow>,
    /// Attempts that ended: rows of `dispatch` to delete, by run and step.
    pub undispatched: Vec<(RunId, StepAddress)>,
    /// Attempts that ended: rows to insert.
    pub attempts: Vec<AttemptRow>,
    /// Steps that ended without an attempt: rows to insert.
    pub steps: Vec<StepRow>,
    /// Runs that began: rows to insert.
    pub runs_begun: Vec<RunRow>,
    /// Runs whose summary changed: rows to update.
    pub runs_changed: Vec<RunChange>,
    /// Fan-outs that were opened or went on: rows to insert or replace.
    pub fanouts: Vec<FanoutRow>,
    /// Pauses before a next attempt that began: rows to insert.
    pub timers_set: Vec<TimerRow>,
    /// Pauses that are over: rows to delete, by run and step.
    pub timers_cleared: Vec<(RunId, StepAddress)>,
    /// What happened to a run that is no attempt.
    pub run_events: Vec<RunEventRow>,
    /// Commands that were folded, with their answers.
    pub audits: Vec<AuditRow>,
    /// What others act on.
    pub notices: Vec<NoticeRow>,
    /// Results by key; content-addressed, the first one stays.
    pub results: Vec<ResultRow>,
    /// Calls of models; one whose price is known already stays.
    pub calls: Vec<CallRow>,
}

/// A call of a model, by whichever execution: it was paid for, whether its report counts or not.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRow {
    /// Who made it.
    pub execution: ExecutionId,
    /// The how-manieth call of the execution, from 0.
    pub ordinal: u32,
    /// The run.
    pub run: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// The pipeline's name.
    pub pipeline: String,
    /// The stage's name.
    pub stage: String,
    /// The step's id in the plan.
    pub node_id: String,
    /// The step.
    pub step: StepAddress,
    /// The attempt's number.
    pub attempt: u32,
    /// The batch that took it in.
    pub batch: u64,
    /// By the shard's clock.
    pub at_ms: u64,
    /// What was called, and what that took.
    pub call: ModelCall,
}

/// A shard's step from one batch to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardAdvance {
    /// The shard.
    pub shard: u16,
    /// The owner's epoch; the row must have it.
    pub epoch: u64,
    /// The number of this batch; the row must have the one before it, or this one where the same
    /// commit landed before.
    pub batch: u64,
    /// The shard's clock, in milliseconds since 1970; never goes back.
    pub clock_ms: u64,
}

/// A live attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchRow {
    /// The run.
    pub run: RunId,
    /// The step; a run has one live attempt for each.
    pub step: StepAddress,
    /// The shard that owns the run.
    pub shard: u16,
    /// The attempt.
    pub token: AttemptToken,
    /// How many of the attempts before it lapsed.
    pub lapses: u16,
    /// Its pool.
    pub pool: PoolName,
    /// The tenant.
    pub project: ProjectName,
    /// [`maestro_schemas::plan::Priority::rank`].
    pub priority: u8,
    /// When it was decided, by the shard's clock.
    pub decided_at_ms: u64,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The shard that owns the run.
    pub shard: u16,
    /// The attempt.
    pub token: AttemptToken,
    /// The batch that ended it.
    pub batch: u64,
    /// The step's state after it: final, or waiting where another attempt follows.
    pub state: StepState,
    /// How it ended: `succeeded`, `failed`, `cancelled`.
    pub outcome: AttemptOutcome,
    /// By the shard's clock.
    pub decided_at_ms: u64,
    /// By the shard's clock.
    pub ended_at_ms: u64,
    /// Who reported; absent where it lapsed.
    pub execution: Option<ExecutionId>,
    /// The worker's id as text; absent where it lapsed.
    pub worker: Option<String>,
    /// What it took.
    pub usage: Usage,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// Named values.
    pub outputs: Outputs,
    /// What it made.
    pub artifacts: Vec<Artifact>,
}

/// How an attempt ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It did what was asked.
    Succeeded,
    /// It did not.
    Failed,
    /// It stopped because it was asked to.
    Cancelled,
}

impl AttemptOutcome {
    /// The text that stands in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A step that ended without an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The batch that ended it.
    pub batch: u64,
    /// Its final state.
    pub state: StepState,
    /// Why, in words.
    pub reason: String,
    /// Whether what needs it must not go on: false for a step whose own condition was false.
    pub blocks: bool,
    /// By the shard's clock.
    pub ended_at_ms: u64,
    /// Named values, where its result was known.
    pub outputs: Outputs,
    /// What its known result consists of.
    pub artifacts: Vec<Artifact>,
}

/// A run that began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// The shard that owns it.
    pub shard: u16,
    /// The pipeline's name.
    pub pipeline: String,
    /// Where it stands.
    pub state: RunState,
    /// The stored plan.
    pub plan: Digest,
    /// What lists are filtered by.
    pub labels: BTreeMap<String, String>,
    /// What it takes over from a run before it.
    pub rerun: Option<maestro_schemas::command::Rerun>,
    /// By the shard's clock.
    pub created_at_ms: u64,
    /// The batch that began it.
    pub batch: u64,
    /// How many steps there are, as far as is known.
    pub steps_total: u64,
}

impl RunRow {
    /// A run of `plan` that would begin now, for seeing what it would do: no shard owns it.
    pub fn begin(id: RunId, project: ProjectName, plan: &CheckedPlan) -> Self {
        Self {
            id,
            project,
            shard: 0,
            pipeline: plan.name.clone(),
            state: RunState::Running,
            plan: plan.digest(),
            labels: BTreeMap::new(),
            rerun: None,
            created_at_ms: 0,
            batch: 0,
            steps_total: 0,
        }
    }
}

/// A run whose summary changed. Counts are absolute, never differences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunChange {
    /// The run.
    pub id: RunId,
    /// The batch that changed it.
    pub batch: u64,
    /// Where it stands.
    pub state: RunState,
    /// The first thing that went wrong.
    pub cause: Option<String>,
    /// Why it is cancelled, where it is.
    pub cancel_reason: Option<String>,
    /// Whether that was asked a second time: then nothing of it goes on to clean up.
    pub cancelled_again: bool,
    /// Counts and sums.
    pub counts: RunCounts,
    /// Its own outputs, once it has ended.
    pub outputs: BTreeMap<String, Value>,
    /// When it ended, by the shard's clock.
    pub ended_at_ms: Option<u64>,
}

/// Counts and sums over a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Steps as far as known; a fan-out counts its items.
    pub steps_total: u64,
    /// Steps that have ended.
    pub steps_ended: u64,
    /// Steps that have failed.
    pub steps_failed: u64,
    /// Steps whose result was known.
    pub steps_cached: u64,
    /// What its attempts spent, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// What its attempts took together, in milliseconds.
    pub work_ms: u64,
}

/// A fan-out: one row however many items. What determines it (`count`, `items`, `reused`) is said
/// by the row that opens it and never changes; a later row leaves `items` and `reused` out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FanoutRow {
    /// The run.
    pub run: RunId,
    /// The node's index.
    pub node: u32,
    /// The batch that last changed it.
    pub batch: u64,
    /// How many items there are.
    pub count: u32,
    /// How many items have been released; the items below are live, ended or in a pause.
    pub cursor: u32,
    /// Items that came from an expression; absent where the plan holds them or they are numbers.
    pub items: Option<Vec<Value>>,
    /// Whether no further item is to be released: those from the cursor on count as cancelled.
    #[serde(default)]
    pub closed: bool,
    /// Items whose results a former run of the line holds, a bit each, the lowest bit first.
    #[serde(default)]
    pub reused: Option<Vec<u8>>,
}

/// A pause before a step's next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerRow {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The number of the attempt that follows.
    pub attempt: u32,
    /// How many attempts lapsed so far.
    pub lapses: u16,
    /// When it is due, by the shard's clock.
    pub due_at_ms: u64,
}

/// What happened to a run that is no attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEventRow {
    /// The run.
    pub run: RunId,
    /// The batch.
    pub batch: u64,
    /// Its place within the batch and run.
    pub ordinal: u32,
    /// By the shard's clock.
    pub at_ms: u64,
    /// The event as it was published.
    pub event: Value,
}

/// A command that was folded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuditRow {
    /// The command.
    pub command: CommandId,
    /// The run.
    pub run: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// Who asked.
    pub actor: String,
    /// What was asked, in one word: `submit`, `cancel`.
    pub action: String,
    /// The answer.
    pub answer: CommandAnswer,
    /// By the shard's clock.
    pub at_ms: u64,
}

/// What others act on, until its message is confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// The run.
    pub run: RunId,
    /// The tenant.
    pub project: ProjectName,
    /// `run_ended`.
    pub kind: String,
    /// What happened.
    pub body: Value,
}

/// The result of a `pure` step, by key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The tenant.
    pub project: ProjectName,
    /// The step's key.
    pub key: Digest,
    /// The step's id and its pipeline's name: where to look for the nearest earlier key.
    pub step: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// What went into the key.
    pub parts: BTreeMap<String, Digest>,
    /// The run that made it.
    pub run: RunId,
    /// Named values.
    pub outputs: Outputs,
    /// What it made.
    pub artifacts: Vec<Artifact>,
}

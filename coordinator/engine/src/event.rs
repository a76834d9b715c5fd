//! What the engine decided: the only things that change a run.
//!
//! An event is applied to the run in memory ([`crate::run::Run::apply`]) and recorded as rows of
//! the batch's commit ([`crate::record`]); both are functions of the event, so that the memory
//! equals a fresh load.

use std::collections::BTreeMap;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::ExecutionId;
use maestro_schemas::outcome::{Failure, Outputs};
use maestro_schemas::report::Usage;
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use serde_json::Value;

use crate::shard::commit::AttemptOutcome;

/// Something that was decided about a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A next attempt of a step is to be carried out.
    AttemptDecided {
        /// The step.
        step: StepAddress,
        /// The attempt.
        token: AttemptToken,
        /// How many attempts of it lapsed.
        lapses: u16,
    },
    /// An attempt ended.
    AttemptEnded(Box<EndedAttempt>),
    /// A step waits before its next attempt.
    PauseBegan {
        /// The step.
        step: StepAddress,
        /// What the pause is before.
        pause: Pause,
    },
    /// A step ended without an attempt, or while it waited for the next.
    StepConcluded(Box<ConcludedStep>),
    /// A fan-out's items are known.
    FanoutOpened {
        /// The node's index.
        node: u32,
        /// How many items.
        count: u32,
        /// The items, where an expression yielded a list.
        items: Option<Vec<Value>>,
        /// Items whose results a former run holds, a bit each.
        reused: Option<Vec<u8>>,
    },
    /// No further item of a fan-out is to be released.
    FanoutClosed {
        /// The node's index.
        node: u32,
    },
    /// Somebody asked that the run end early.
    CancelRequested {
        /// Why.
        reason: String,
    },
    /// Nothing more will happen to the run.
    Ended {
        /// How it ended.
        state: RunState,
        /// Its own outputs.
        outputs: BTreeMap<String, Value>,
    },
    /// The run is set aside: a message of its, or its state, cannot be folded.
    Quarantined {
        /// What was found.
        reason: String,
    },
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedAttempt {
    /// The step.
    pub step: StepAddress,
    /// The attempt.
    pub token: AttemptToken,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// The step's state after it; [`StepState::Waiting`] where another attempt follows.
    pub state: StepState,
    /// When it was decided.
    pub decided_at_ms: u64,
    /// When its end was folded.
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

/// A step that ended without an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcludedStep {
    /// The step.
    pub step: StepAddress,
    /// Its final state.
    pub state: StepState,
    /// Why, in words.
    pub reason: String,
    /// Whether what needs it must not go on.
    pub blocks: bool,
    /// When it was decided.
    pub ended_at_ms: u64,
    /// Named values, where its result was known.
    pub outputs: Outputs,
    /// What its known result consists of.
    pub artifacts: Vec<Artifact>,
}

/// What a waiting step's pause is before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The number of the attempt that follows.
    pub attempt: u32,
    /// How many attempts of the step lapsed.
    pub lapses: u16,
    /// When it is over, by the shard's clock; [`Pause::HELD`] where another step ends it.
    pub due_at_ms: u64,
}

impl Pause {
    /// The time that never comes: an object that the step takes is being made again, and the end of
    /// that brings the pause forward.
    pub const HELD: u64 = i64::MAX as u64;

    /// Whether no time ends it.
    pub const fn is_held(&self) -> bool {
        self.due_at_ms == Self::HELD
    }
}

//! What the fold asks of its shell, and what the shell tells it.
//!
//! The fold never does I/O: [`crate::shard::Fold::handle`] takes one [`Completion`] and answers
//! with [`Request`]s. The server performs them against Postgres and JetStream, the simulation
//! against models of both.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::codec::InboxMessage;
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::control::Cancel;
use maestro_schemas::digest::Digest;
use maestro_schemas::event::EventBatch;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::{CommandId, RunId};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::outcome::Outputs;
use maestro_schemas::report::Usage;
use maestro_schemas::step::{AttemptToken, RunState, StepAddress, StepState};
use maestro_schemas::task::Task;

use super::commit::{
    AttemptRow, Commit, DispatchRow, FanoutRow, RunChange, RunRow, StepRow, TimerRow,
};
use crate::plan::CheckedPlan;

/// Names a message that was pulled, until it is acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

/// Names a question, until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// What the fold asks of its shell.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Write this, all or nothing, and say what became of it.
    Commit(Arc<Commit>),
    /// Put these tasks on the bus; a failed publish is tried again while nobody withdraws it.
    Publish(Vec<Publication>),
    /// These messages are done with.
    Ack {
        /// The shard whose inbox they came from.
        shard: u16,
        /// The messages.
        deliveries: Vec<DeliveryId>,
    },
    /// Tell whoever listens; may be lost.
    Tell(EventBatch),
    /// Take tasks of a run off the bus, and do not publish any of them again.
    Withdraw {
        /// The run.
        run: RunId,
        /// One attempt of it; absent means all.
        attempt: Option<(StepAddress, AttemptToken)>,
        /// The pools that may have some.
        pools: Vec<PoolName>,
    },
    /// Tell the workers of a pool to stop something; may be lost.
    Stop {
        /// The pool.
        pool: PoolName,
        /// What to stop.
        cancel: Cancel,
    },
    /// Answer a command, after its commit; may be lost.
    Answer {
        /// The inbox subject that the asker named.
        to: String,
        /// The command.
        command: CommandId,
        /// The answer.
        answer: CommandAnswer,
    },
    /// Find something out and say it.
    Ask(AskId, Ask),
    /// Keep a message that cannot be folded, or the part of it that cannot, with its reason.
    Bury {
        /// The shard whose inbox it came from.
        shard: u16,
        /// The message.
        delivery: DeliveryId,
        /// What is kept, where the message could be read; else the shell has its bytes.
        said: Option<Box<InboxMessage>>,
        /// Whether the message is acked once this is kept: else other parts of it follow.
        is_last: bool,
        /// Why it cannot be folded.
        reason: String,
    },
    /// Give a shard up: drop its consumer and, if it is taken again, take it under a new epoch.
    Release {
        /// The shard.
        shard: u16,
        /// Whether somebody else is to take it: the row is freed at once.
        hand_over: bool,
    },
    /// Say [`Completion::Woke`] at this time, by the shell's clock; a later one replaces it.
    WakeAt(u64),
}

/// A task to put on the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct Publication {
    /// The shard that decided it.
    pub shard: u16,
    /// [`maestro_schemas::plan::Priority::rank`].
    pub priority: u8,
    /// The task.
    pub task: Arc<Task>,
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// The bus took it: it was not there.
    Accepted,
    /// The bus refused it: it is queued or in a worker's hands.
    AlreadyThere,
}

/// A question that the fold cannot answer by itself. Nothing is committed for it; after a
/// take-over it is asked again.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A stored plan, checked, to begin a run with.
    Plan {
        /// The tenant.
        project: ProjectName,
        /// The plan's digest.
        digest: Digest,
    },
    /// Whether a command was answered before, and whether its run is known.
    Named {
        /// The run.
        run: RunId,
        /// The command.
        command: CommandId,
    },
    /// The finished steps of a former run, for a rerun.
    Former {
        /// The former run.
        run: RunId,
        /// Its tenant must be this.
        project: ProjectName,
    },
    /// The result of a key, if it is known and its artifacts are all there.
    Result {
        /// The tenant.
        project: ProjectName,
        /// The key.
        key: Digest,
    },
    /// As [`Ask::Result`], for some items of a fan-out.
    ItemResults {
        /// The tenant.
        project: ProjectName,
        /// Items and their keys.
        keys: Vec<(u32, Digest)>,
    },
    /// The outputs of all items of a fan-out, in order.
    ItemOutputs {
        /// The run.
        run: RunId,
        /// The node's index.
        node: u32,
    },
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The plan; absent where there is none of that digest.
    Plan(Option<CheckedPlan>),
    /// What is known of a command and its run.
    Named {
        /// What the audit row of the command's id says and which run it is about, where there is
        /// one.
        answered: Option<(RunId, CommandAnswer)>,
        /// The run's shard and where it stands, by its row, where it has one.
        run: Option<(u16, RunState)>,
    },
    /// The former run; absent where there is none or it has not ended.
    Former(Option<Box<LoadedRun>>),
    /// The result; absent where it is not known or not whole.
    Result(Option<KnownResult>),
    /// The items whose results are known and whole.
    ItemResults(Vec<(u32, KnownResult)>),
    /// Outputs and artifacts, one for each item, in order.
    ItemOutputs(Vec<(Outputs, Vec<Artifact>)>),
    /// It could not be found out now; it is asked again.
    Unavailable,
    /// What the rows of the run that asks say of it cannot be read, now or later, and why: the run
    /// is set aside. What other rows say counts as not there instead.
    Unreadable(String),
}

/// The result of a step by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownResult {
    /// The run that made it.
    pub run: RunId,
    /// Named values.
    pub outputs: Outputs,
    /// What it made.
    pub artifacts: Vec<Artifact>,
}

/// What the shell tells the fold.
#[derive(Debug, Clone)]
pub enum Completion {
    /// A shard was taken, its epoch raised and its rows read.
    Acquired(Box<LoadedShard>),
    /// The shard's lease is lost or its consumer cannot be had: drop it.
    Lost {
        /// The shard.
        shard: u16,
    },
    /// Messages arrived in a shard's inbox.
    Pulled {
        /// The shard.
        shard: u16,
        /// The messages, in the stream's order.
        deliveries: Vec<Delivery>,
        /// Where the inbox was found empty after these: the time up to which it has been read.
        read_past_ms: Option<u64>,
    },
    /// A shard's stream had vanished and was made anew: what was on the bus may be lost.
    Rebuilt {
        /// The shard.
        shard: u16,
    },
    /// What became of the commit.
    Committed(Landing),
    /// What became of a publication.
    Published {
        /// The run.
        run: RunId,
        /// The step.
        step: StepAddress,
        /// The attempt.
        token: AttemptToken,
        /// What the bus said.
        result: Published,
    },
    /// The answer to a question.
    Answered(AskId, Answer),
    /// A worker spoke.
    Heard(Box<Heartbeat>),
    /// What another coordinator has ready and in flight.
    Demanded(crate::share::Demand),
    /// The time that was asked for has come.
    Woke,
    /// Give one shard up for somebody else to take, after the commit in flight.
    HandOver {
        /// The shard.
        shard: u16,
    },
    /// Give up every shard, after the commit in flight.
    Drain,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// It stands, now or since an earlier try.
    Done,
    /// A shard of it has another epoch or batch: nothing of it stands.
    Refused,
    /// The database takes some value of it for no data: nothing of it stands.
    Unacceptable(String),
    /// Nobody knows.
    Unknown,
}

/// A message from an inbox.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Names it until it is acked.
    pub id: DeliveryId,
    /// The message, or why it is none.
    pub message: Result<InboxMessage, String>,
}

/// A shard as its rows say, read after its epoch was raised.
#[derive(Debug, Clone)]
pub struct LoadedShard {
    /// The shard.
    pub shard: u16,
    /// The new epoch.
    pub epoch: u64,
    /// The last batch that was committed.
    pub batch: u64,
    /// The shard's clock at that time.
    pub clock_ms: u64,
    /// Every run of it that has not ended.
    pub runs: Vec<LoadedRun>,
}

/// A run as its rows say.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedRun {
    /// The row, as it was inserted.
    pub row: RunRow,
    /// What has changed since.
    pub change: Option<RunChange>,
    /// Its plan.
    pub plan: CheckedPlan,
    /// Steps that ended without an attempt.
    pub steps: Vec<StepRow>,
    /// For each step that has any, its last attempt that ended. Those of a fan-out's items come
    /// without outputs and artifacts.
    pub attempts: Vec<AttemptRow>,
    /// Items of fan-outs that ended, in short, instead of whole rows: node, item, state.
    pub items: Vec<(u32, u32, StepState)>,
    /// Live attempts.
    pub dispatched: Vec<DispatchRow>,
    /// Pauses.
    pub timers: Vec<TimerRow>,
    /// Fan-outs that were opened.
    pub fanouts: Vec<FanoutRow>,
    /// Outputs of fan-outs, one for each item: of those that [`LoadedRun::sources`] names.
    pub item_outputs: BTreeMap<u32, Vec<Outputs>>,
    /// What all attempts that ended took together.
    pub spent: Usage,
}

impl LoadedRun {
    /// The fan-outs that steps read which have begun and not ended: without their outputs the
    /// parameters of those steps would resolve to something else than they were begun with.
    pub fn sources(&self) -> BTreeSet<u32> {
        if self.change.as_ref().is_some_and(|change| change.ended_at_ms.is_some()) {
            return BTreeSet::new();
        }
        let mut left: BTreeMap<u32, u32> =
            self.fanouts.iter().map(|fanout| (fanout.node, fanout.count)).collect();
        for (node, _, _) in &self.items {
            left.entry(*node).and_modify(|left| *left = left.saturating_sub(1));
        }
        let fans_out = |node: u32| left.contains_key(&node);
        let begun = self.dispatched.iter().map(|row| row.step.node);
        let paused = self.timers.iter().map(|row| row.step.node);
        let open = left.iter().filter(|(_, left)| **left > 0).map(|(node, _)| *node);
        begun
            .chain(paused)
            .chain(open)
            .filter_map(|node| self.plan.nodes.get(node as usize))
            .flat_map(|node| node.reads.iter().chain(node.inputs.iter().map(|input| &input.node)))
            .copied()
            .filter(|source| fans_out(*source))
            .collect()
    }
}

//! The model of Postgres: a commit lands whole or not at all, guarded by epoch and batch; leases go
//! by its own clock; a load reads the rows as the server's statements do.

mod land;
mod read;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::{AuditRow, Commit, ResultRow};
use maestro_engine::shard::owned::LEASE_MS;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, ExecutionId, RunId};
use maestro_schemas::name::ProjectName;

pub use land::{Landed, is_poisoned};
pub use record::RunRecord;

/// What a report says in an output whose text the database refuses as data.
pub const POISON: &str = "\u{0}poison";

/// A shard's lease row.
#[derive(Debug, Clone, Default)]
pub struct ShardRow {
    pub owner: Option<String>,
    pub epoch: u64,
    pub batch: u64,
    pub clock_ms: u64,
    pub expires_at: u64,
}

/// A planted fault of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A commit lands whatever its epoch and batch.
    IgnoresFence,
    /// A retry's pause is not kept.
    LosesTimers,
    /// Now and then a live attempt is not kept.
    LosesDispatch,
    /// An attempt's end is not kept.
    LosesEnds,
    /// Neither a cancellation nor what it ended is kept.
    LosesCancels,
    /// That a run was cancelled a second time is not kept.
    LosesSecondCancels,
    /// Now and then a commit is refused as data although it is none of the poisoned ones.
    BlamesAnybody,
}

/// All rows.
#[derive(Debug, Default)]
pub struct Store {
    pub shards: Vec<ShardRow>,
    pub runs: BTreeMap<RunId, RunRecord>,
    pub audits: BTreeMap<CommandId, AuditRow>,
    pub results: BTreeMap<(ProjectName, Digest), ResultRow>,
    pub plans: BTreeMap<Digest, CheckedPlan>,
    /// The ledger: whether the price of each call is known.
    pub calls: BTreeMap<(ExecutionId, u32), bool>,
    /// The api's rows: which run an idempotency key stands for.
    pub keys: BTreeMap<String, RunId>,
    pub fault: Option<Fault>,
    pub commits: u64,
    /// Everything that was written, where it is to be written again elsewhere.
    pub journal: Option<Vec<Written>>,
}

/// Something that was written.
#[derive(Debug, Clone)]
pub enum Written {
    /// A shard was taken: its epoch was raised.
    Taken { shard: u16, epoch: u64 },
    /// A commit was sent.
    Sent(Arc<Commit>),
}

impl Store {
    pub fn with_shards(count: u16) -> Self {
        Self { shards: vec![ShardRow::default(); usize::from(count)], ..Self::default() }
    }

    /// Takes a shard that is free, expired or bears this name; the new epoch.
    pub fn acquire(&mut self, shard: u16, name: &str, now: u64) -> Option<u64> {
        let row = &mut self.shards[usize::from(shard)];
        let free =
            row.owner.is_none() || row.owner.as_deref() == Some(name) || row.expires_at < now;
        if !free {
            return None;
        }
        row.owner = Some(name.to_owned());
        row.epoch += 1;
        row.expires_at = now + LEASE_MS;
        let epoch = row.epoch;
        self.journal.iter_mut().for_each(|list| list.push(Written::Taken { shard, epoch }));
        Some(epoch)
    }

    /// Frees a shard of this epoch.
    pub fn release(&mut self, shard: u16, epoch: u64) {
        let row = &mut self.shards[usize::from(shard)];
        if row.epoch == epoch {
            row.owner = None;
        }
    }
}

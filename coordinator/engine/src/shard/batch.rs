//! A batch in the making: the rows of its commit, and what follows once it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_schemas::event::{Event as Told, EventBatch, EventKind};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::StepAddress;

use super::commit::{Commit, FanoutRow};
use super::request::{DeliveryId, Publication, Request};

/// The most entries of one message of events; a message stays far below 256 KiB.
const TOLD_MAX: usize = 500;

/// A batch in the making.
#[derive(Debug, Default)]
pub struct Batch {
    /// The rows.
    pub commit: Commit,
    /// Shards that take part.
    pub touched: BTreeSet<u16>,
    /// Messages that are done with once it stands.
    pub acks: BTreeMap<u16, Vec<DeliveryId>>,
    /// What is told once it stands.
    pub told: BTreeMap<ProjectName, Vec<Told>>,
    /// What else follows once it stands.
    pub after: Vec<Request>,
    /// Tasks that may be published while it is being committed.
    pub early: Vec<Publication>,
    /// Tasks that are published once it stands.
    pub late: Vec<Publication>,
    /// Runs whose summary changed.
    pub changed: BTreeSet<RunId>,
    /// Fan-outs that changed, one row each.
    pub fanouts: BTreeMap<(RunId, u32), FanoutRow>,
    /// Outputs of runs that ended.
    pub outputs: BTreeMap<RunId, BTreeMap<String, serde_json::Value>>,
    /// Runs that what it folds is about.
    pub about: BTreeSet<RunId>,
    /// Shards and runs of which a command was folded.
    pub commanded: BTreeSet<(u16, RunId)>,
    /// How many events of each run were kept in this batch.
    pub ordinals: BTreeMap<RunId, u32>,
}

impl Batch {
    /// Marks a message as done with, once the batch stands.
    pub fn ack(&mut self, shard: u16, delivery: DeliveryId) {
        self.touched.insert(shard);
        self.acks.entry(shard).or_default().push(delivery);
    }

    /// Tells whoever listens, once the batch stands.
    pub fn tell(&mut self, project: &ProjectName, told: Told) {
        match self.told.get_mut(project) {
            Some(list) => list.push(told),
            None => {
                self.told.insert(project.clone(), vec![told]);
            }
        }
    }

    /// Ends a pause; one that began in this very batch leaves no row.
    pub fn clear_timer(&mut self, run: RunId, step: StepAddress) {
        let begun =
            self.commit.timers_set.iter().position(|row| row.run == run && row.step == step);
        match begun {
            Some(index) => {
                self.commit.timers_set.swap_remove(index);
            }
            None => self.commit.timers_cleared.push((run, step)),
        }
    }

    /// The next place of a kept event of a run.
    pub fn ordinal(&mut self, run: RunId) -> u32 {
        let next = self.ordinals.entry(run).or_default();
        *next += 1;
        *next
    }

    /// All that follows once the batch stands, in order.
    pub fn consequences(self) -> Vec<Request> {
        let mut requests = Vec::new();
        if !self.late.is_empty() {
            requests.push(Request::Publish(self.late));
        }
        requests.extend(self.after);
        for (project, entries) in self.told {
            for part in entries.chunks(TOLD_MAX) {
                requests.push(Request::Tell(EventBatch {
                    project: project.clone(),
                    entries: part.to_vec(),
                }));
            }
        }
        requests.extend(
            self.acks.into_iter().map(|(shard, deliveries)| Request::Ack { shard, deliveries }),
        );
        requests
    }
}

/// A commit on its way, and what follows it.
#[derive(Debug)]
pub struct InFlight {
    /// What was sent; sent again as it is while its outcome is unknown.
    pub commit: Arc<Commit>,
    /// What follows once it stands.
    pub batch: Batch,
    /// When it was first sent.
    pub sent_at_ms: u64,
    /// When it is sent again, where its outcome is unknown.
    pub again_at_ms: Option<u64>,
    /// How many inputs it folded, but for those before it that changed nothing.
    pub inputs: usize,
    /// Whether it was kept as small as a batch can be.
    pub is_alone: bool,
}

/// An event of a step or run, as it is told.
pub fn told(run: RunId, batch: u64, at_ms: u64, kind: EventKind) -> Told {
    Told { run, batch, at_ms, kind }
}

//! The model of JetStream: inboxes with one consumer each, task streams with at most one message
//! per subject, and the loss of all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_schemas::codec::InboxMessage;
use maestro_schemas::id::{RunId, WorkerId};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;

/// How often a task is delivered before it counts as one that kills its workers.
pub const DELIVERIES_MAX: u32 = 5;

/// How long a task may go unrenewed, in milliseconds.
pub const TASK_ACK_WAIT_MS: u64 = 4_000;

/// How long an inbox message may be in its owner's hands before it is delivered again.
pub const INBOX_ACK_WAIT_MS: u64 = 30_000;

/// An attempt's own subject.
pub type Subject = (RunId, StepAddress, AttemptToken);

/// What stands in an inbox.
#[derive(Debug, Clone)]
pub enum Content {
    Message(InboxMessage),
    Garbage,
}

#[derive(Debug)]
pub struct Stored {
    pub content: Content,
    pub stored_at: u64,
}

/// An owner's consumer.
#[derive(Debug)]
pub struct Consumer {
    pub id: u64,
    pub epoch: u64,
    /// What was delivered and not acked, with when it is delivered again.
    pending: BTreeMap<u64, u64>,
}

#[derive(Debug, Default)]
pub struct Inbox {
    pub messages: BTreeMap<u64, Stored>,
    pub consumer: Option<Consumer>,
}

/// A task on the bus.
#[derive(Debug)]
pub struct Queued {
    pub task: Arc<Task>,
    pub priority: u8,
    pub seq: u64,
    pub delivered: u32,
    pub in_hand: Option<WorkerId>,
}

#[derive(Debug, Default)]
pub struct Pool {
    pub tasks: BTreeMap<Subject, Queued>,
    ready: BTreeSet<(u8, u64, Subject)>,
}

#[derive(Debug, Default)]
pub struct Bus {
    pub inboxes: Vec<Inbox>,
    pub pools: BTreeMap<String, Pool>,
    pub full_until: u64,
    last_seq: u64,
    last_consumer: u64,
}

impl Bus {
    pub fn new(shards: u16, pools: &[&str]) -> Self {
        let mut bus = Self::default();
        bus.inboxes.resize_with(usize::from(shards), Inbox::default);
        bus.pools.extend(pools.iter().map(|pool| ((*pool).to_owned(), Pool::default())));
        bus
    }

    /// Loses everything, consumers included.
    pub fn lose(&mut self) {
        self.inboxes.iter_mut().for_each(|inbox| *inbox = Inbox::default());
        self.pools.values_mut().for_each(|pool| *pool = Pool::default());
    }

    /// Makes an owner's consumer and deletes those before it; none where a newer owner has one.
    pub fn consume(&mut self, shard: u16, epoch: u64) -> Option<u64> {
        let inbox = &mut self.inboxes[usize::from(shard)];
        if inbox.consumer.as_ref().is_some_and(|other| other.epoch >= epoch) {
            return None;
        }
        self.last_consumer += 1;
        let id = self.last_consumer;
        inbox.consumer = Some(Consumer { id, epoch, pending: BTreeMap::new() });
        Some(id)
    }

    pub fn store(&mut self, shard: u16, content: Content, now: u64) {
        self.last_seq += 1;
        let stored = Stored { content, stored_at: now };
        self.inboxes[usize::from(shard)].messages.insert(self.last_seq, stored);
    }

    /// What is there for a consumer, at most so many, and whether nothing more is; none where the
    /// consumer does not exist.
    pub fn pull(
        &mut self,
        shard: u16,
        consumer: u64,
        (most, now): (usize, u64),
    ) -> Option<(Vec<(u64, Content)>, bool)> {
        let inbox = &mut self.inboxes[usize::from(shard)];
        let reader = inbox.consumer.as_mut().filter(|reader| reader.id == consumer)?;
        let mut found = Vec::new();
        for (seq, stored) in &inbox.messages {
            if reader.pending.get(seq).is_some_and(|again_at| now < *again_at) {
                continue;
            }
            if found.len() == most {
                return Some((found, false));
            }
            reader.pending.insert(*seq, now + INBOX_ACK_WAIT_MS);
            found.push((*seq, stored.content.clone()));
        }
        Some((found, true))
    }

    /// Removes a message, where its consumer still exists.
    pub fn ack(&mut self, shard: u16, consumer: u64, seq: u64) -> Option<Content> {
        let inbox = &mut self.inboxes[usize::from(shard)];
        let reader = inbox.consumer.as_mut().filter(|reader| reader.id == consumer)?;
        reader.pending.remove(&seq);
        inbox.messages.remove(&seq).map(|stored| stored.content)
    }

    /// Whether a consumer was given every message that was stored before a time.
    pub fn was_read_to(&self, shard: u16, consumer: u64, before: u64) -> bool {
        let inbox = &self.inboxes[usize::from(shard)];
        inbox.consumer.as_ref().filter(|reader| reader.id == consumer).is_none_or(|reader| {
            inbox
                .messages
                .iter()
                .all(|(seq, stored)| stored.stored_at >= before || reader.pending.contains_key(seq))
        })
    }

    /// Whether a report of an attempt waits in an inbox.
    pub fn has_report(&self, shard: u16, subject: Subject) -> bool {
        self.inboxes[usize::from(shard)].messages.values().any(|stored| match &stored.content {
            Content::Message(InboxMessage::Reports(reports)) => {
                reports.iter().any(|report| (report.run, report.step, report.token) == subject)
            }
            _ => false,
        })
    }

    /// Puts a task on its subject; false where one is there.
    pub fn publish(&mut self, task: &Arc<Task>, priority: u8) -> bool {
        self.last_seq += 1;
        let seq = self.last_seq;
        let subject = (task.run, task.step, task.token);
        let pool = self.pools.entry(task.pool.to_string()).or_default();
        if pool.tasks.contains_key(&subject) {
            return false;
        }
        let task = Arc::clone(task);
        pool.tasks.insert(subject, Queued { task, priority, seq, delivered: 0, in_hand: None });
        pool.ready.insert((priority, seq, subject));
        true
    }

    /// Removes tasks of a run.
    pub fn purge(&mut self, pool: &str, run: RunId, attempt: Option<(StepAddress, AttemptToken)>) {
        let Some(pool) = self.pools.get_mut(pool) else { return };
        let wanted = |subject: &Subject| {
            subject.0 == run && attempt.is_none_or(|attempt| attempt == (subject.1, subject.2))
        };
        pool.tasks.retain(|subject, _| !wanted(subject));
        pool.ready.retain(|(_, _, subject)| !wanted(subject));
    }
}

impl Pool {
    /// Gives the next task to a worker.
    pub fn take(&mut self, worker: WorkerId) -> Option<(u64, Arc<Task>)> {
        let (_, _, subject) = self.ready.pop_first()?;
        let queued = self.tasks.get_mut(&subject)?;
        queued.delivered += 1;
        queued.in_hand = Some(worker);
        Some((queued.seq, Arc::clone(&queued.task)))
    }

    /// Removes a task that was done.
    pub fn ack(&mut self, subject: Subject, seq: u64) {
        if self.tasks.get(&subject).is_some_and(|queued| queued.seq == seq) {
            self.tasks.remove(&subject);
        }
        self.ready.retain(|(_, other, _)| *other != seq);
    }

    /// Gives a task that its worker did not renew back to all; false where it burnt its fuse.
    pub fn give_back(&mut self, subject: Subject, seq: u64) {
        let Some(queued) = self.tasks.get_mut(&subject).filter(|queued| queued.seq == seq) else {
            return;
        };
        queued.in_hand = None;
        if queued.delivered < DELIVERIES_MAX {
            self.ready.insert((queued.priority, seq, subject));
        }
    }
}

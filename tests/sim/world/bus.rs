//! What travels over the bus: pulls, acks, publishes, messages into inboxes.

use maestro_engine::shard::request::{Completion, Delivery, DeliveryId, Publication, Published};

use super::{Checked, Happening, Origin, Process, World};
use crate::bus::Content;
use crate::planted::Planted;

/// The most messages of one pull.
const PULLED_MAX: usize = 64;

/// More than this waiting in the fold, and the shell pulls no more.
const BACKLOG_MAX: usize = 256;

/// How often an inbox that seems empty is read.
const IDLE_MS: u64 = 150;

impl World {
    pub fn pull(&mut self, by: Process, shard: u16, at: u64) -> Checked {
        let holding = self.coordinators[by.0].held.get(&shard).copied();
        let Some(holding) = holding.filter(|held| self.lives(by) && held.next_pull_at == at) else {
            return Ok(());
        };
        if let Some(left) = self.stopped_for(by) {
            self.pull_within(by, shard, left);
            return Ok(());
        }
        if self.coordinators[by.0].fold.backlog() > BACKLOG_MAX {
            self.pull_within(by, shard, 5);
            return Ok(());
        }
        if self.is_planted(Planted::ReadingFeigned) && self.dice.chance(800) {
            self.pull_within(by, shard, IDLE_MS);
            let read_past_ms = Some(u64::MAX / 2);
            let deliveries = Vec::new();
            return self.complete(by, Completion::Pulled { shard, deliveries, read_past_ms });
        }
        let Some((found, is_all)) = self.bus.pull(shard, holding.consumer, (PULLED_MAX, self.now))
        else {
            return self.lose_consumer(by, shard);
        };
        let deliveries = found
            .into_iter()
            .map(|(seq, content)| self.delivery(by, (shard, holding.consumer, seq), content))
            .collect();
        let read_past_ms = is_all.then(|| self.clock(by));
        self.pull_within(by, shard, if is_all { IDLE_MS } else { 1 });
        self.complete(by, Completion::Pulled { shard, deliveries, read_past_ms })
    }

    fn delivery(&mut self, by: Process, place: (u16, u64, u64), content: Content) -> Delivery {
        let coordinator = &mut self.coordinators[by.0];
        coordinator.last_delivery += 1;
        let id = DeliveryId(coordinator.last_delivery);
        coordinator.deliveries.insert(id, place);
        if self.is_planted(Planted::AckedEarly) {
            let (shard, consumer, seq) = place;
            self.after(0, Happening::Acks { shard, consumer, seq });
        }
        let message = match content {
            Content::Message(message) => Ok(message),
            Content::Garbage => Err("the message does not decode".to_owned()),
        };
        Delivery { id, message }
    }

    /// The consumer is gone: somebody else has the shard, or the bus was lost. A process may take
    /// its time to notice.
    fn lose_consumer(&mut self, by: Process, shard: u16) -> Checked {
        if self.setting.has_faults() && self.dice.chance(600) {
            let later = self.dice.between(100, 2_000);
            self.pull_within(by, shard, later);
            return Ok(());
        }
        let epoch = self.coordinators[by.0].held.get(&shard).map_or(0, |held| held.epoch);
        if let Some(consumer) = self.bus.consume(shard, epoch) {
            self.note(|| format!("c{} makes its consumer of shard {shard} anew", by.0));
            if let Some(holding) = self.coordinators[by.0].held.get_mut(&shard) {
                holding.consumer = consumer;
            }
            self.pull_within(by, shard, 1);
            self.mark("an inbox was made anew");
            return self.complete(by, Completion::Rebuilt { shard });
        }
        self.note(|| format!("c{} lost its consumer of shard {shard}", by.0));
        self.let_go(by, shard);
        self.complete(by, Completion::Lost { shard })
    }

    pub fn ack(&mut self, shard: u16, consumer: u64, seq: u64) -> Checked {
        match self.bus.ack(shard, consumer, seq) {
            Some(content) => self.checker.acked(seq, &content, &self.store),
            None => Ok(()),
        }
    }

    pub fn publish(&mut self, by: Process, publication: Publication) -> Checked {
        let task = &publication.task;
        let subject = (task.run, task.step, task.token);
        let is_wanted =
            self.lives(by) && self.coordinators[by.0].publications.contains_key(&subject);
        if self.bus.full_until > self.now {
            if is_wanted {
                self.after(200, Happening::Publishes { by, publication });
            }
            return Ok(());
        }
        let is_reported = self.bus.has_report(task.shard, subject);
        let taken = self.bus.publish(task, publication.priority);
        self.note(|| {
            format!("task {} {:?} published by c{}: {taken}", task.name, task.token, by.0)
        });
        if task.token.epoch < self.store.shards[usize::from(task.shard)].epoch {
            self.mark(if taken { "a lost task was ensured" } else { "a task was ensured" });
        }
        if taken {
            self.checker.queued(subject, is_reported);
            self.offer_soon(task.pool.as_str());
        }
        if is_wanted && self.strikes(self.setting.chances.unconfirmed) {
            self.after(300, Happening::Publishes { by, publication });
        } else if is_wanted {
            self.coordinators[by.0].publications.remove(&subject);
            let result = if taken { Published::Accepted } else { Published::AlreadyThere };
            let (run, step, token) = subject;
            let published = Completion::Published { run, step, token, result };
            self.after(1, Happening::Completes(by, published));
        }
        Ok(())
    }

    /// A message reaches an inbox, or finds it full and comes again.
    pub fn inbox_arrives(&mut self, shard: u16, content: Content, from: Origin) -> Checked {
        if self.bus.full_until > self.now {
            if !matches!(from, Origin::Nobody) {
                self.after(200, Happening::InboxArrives { shard, content, from });
            }
            return Ok(());
        }
        let is_unconfirmed = self.strikes(self.setting.chances.unconfirmed);
        if is_unconfirmed && !matches!(from, Origin::Nobody) {
            let content = content.clone();
            self.after(250, Happening::InboxArrives { shard, content, from });
        }
        self.bus.store(shard, content, self.now);
        for place in 0..self.coordinators.len() {
            let process = (place, self.coordinators[place].life);
            if self.lives(process) {
                let delay = self.dice.between(0, 2);
                self.pull_within(process, shard, delay);
            }
        }
        match from {
            Origin::Worker(worker, execution) if !is_unconfirmed => {
                self.confirm_report(worker, execution)
            }
            _ => Ok(()),
        }
    }
}

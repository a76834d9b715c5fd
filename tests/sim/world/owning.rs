//! How shards are taken, read and given up.

use maestro_engine::shard::request::{Completion, LoadedShard};

use super::coordinator::Holding;
use super::{Checked, Happening, Process, World};

impl World {
    pub fn is_store_down(&self) -> bool {
        self.store_down_until > self.now
    }

    pub fn store_goes_down(&mut self, for_ms: u64) {
        self.store_down_until = self.now + for_ms;
    }

    /// Tries to take shards that nobody holds, not many more than its part.
    pub fn look_for_shards(&mut self, process: Process) -> Checked {
        if !self.lives(process) {
            return Ok(());
        }
        let again = self.dice.between(200, 500);
        self.after(again, Happening::Looks(process));
        if self.stopped_for(process).is_some()
            || self.coordinators[process.0].is_draining
            || self.is_store_down()
        {
            return Ok(());
        }
        let alive = self.coordinators.iter().filter(|other| other.is_alive).count().max(1);
        let part = usize::from(self.setting.shards).div_ceil(alive);
        for shard in 0..self.setting.shards {
            let coordinator = &self.coordinators[process.0];
            let has = coordinator.held.len() + coordinator.taking.len();
            let holds =
                coordinator.held.contains_key(&shard) || coordinator.taking.contains(&shard);
            if holds || (has >= part && self.dice.chance(700)) {
                continue;
            }
            let name = self.coordinators[process.0].name.clone();
            if let Some(epoch) = self.store.acquire(shard, &name, self.now) {
                self.note(|| format!("{name} takes shard {shard} at epoch {epoch}"));
                self.coordinators[process.0].taking.insert(shard);
                let delay = self.dice.between(1, 6);
                self.after(delay, Happening::Loads { by: process, shard, epoch });
            }
        }
        Ok(())
    }

    pub fn load_shard(&mut self, by: Process, shard: u16, epoch: u64) -> Checked {
        if !self.lives(by) {
            return Ok(());
        }
        let wait = self.stopped_for(by).or_else(|| self.is_store_down().then_some(100));
        if let Some(wait) = wait {
            self.after(wait, Happening::Loads { by, shard, epoch });
            return Ok(());
        }
        self.coordinators[by.0].taking.remove(&shard);
        let row = self.store.shards[usize::from(shard)].clone();
        if row.epoch != epoch {
            return Ok(());
        }
        let Some(consumer) = self.bus.consume(shard, epoch) else {
            return Ok(());
        };
        self.checker.loaded(shard, epoch);
        let loaded = LoadedShard {
            shard,
            epoch,
            batch: row.batch,
            clock_ms: row.clock_ms,
            runs: self.store.load(shard),
        };
        self.coordinators[by.0].held.insert(shard, Holding { epoch, consumer, next_pull_at: 0 });
        self.complete(by, Completion::Acquired(Box::new(loaded)))?;
        self.pull_within(by, shard, 3);
        Ok(())
    }

    /// Drops what the shell keeps for a shard.
    pub fn let_go(&mut self, by: Process, shard: u16) -> Option<Holding> {
        let coordinator = &mut self.coordinators[by.0];
        coordinator.publications.retain(|_, publication| publication.shard != shard);
        coordinator.deliveries.retain(|_, (other, _, _)| *other != shard);
        let holding = coordinator.held.remove(&shard)?;
        let inbox = &mut self.bus.inboxes[usize::from(shard)];
        if inbox.consumer.as_ref().is_some_and(|reader| reader.id == holding.consumer) {
            inbox.consumer = None;
        }
        Some(holding)
    }

    /// Reads a held shard's inbox within so many milliseconds.
    pub fn pull_within(&mut self, by: Process, shard: u16, delay_ms: u64) {
        let at = self.now + delay_ms;
        let Some(holding) = self.coordinators[by.0].held.get_mut(&shard) else {
            return;
        };
        if holding.next_pull_at > self.now && holding.next_pull_at <= at {
            return;
        }
        holding.next_pull_at = at;
        self.after(delay_ms, Happening::Pulls { by, shard, at });
    }
}

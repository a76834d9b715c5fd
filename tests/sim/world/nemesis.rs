//! What befalls whole processes, the bus and the database.

use maestro_engine::shard::request::Completion;

use super::{BEGIN, Checked, Happening, World};

/// Something that befalls.
#[derive(Debug, Clone, Copy)]
pub enum Blow {
    Crashes,
    Pauses,
    Drains,
    HandsOver,
    Starts(usize, u64),
    KillsAny,
    Kills(usize, u64),
    PausesWorker,
    Hires(usize),
    LosesBus,
    FillsBus,
    StopsStore,
}

impl World {
    pub fn plan_blows(&mut self) {
        let blows = self.setting.blows.clone();
        let counts = [
            (blows.crashes, Blow::Crashes),
            (blows.pauses, Blow::Pauses),
            (blows.drains, Blow::Drains),
            (blows.hand_overs, Blow::HandsOver),
            (blows.worker_kills, Blow::KillsAny),
            (blows.worker_pauses, Blow::PausesWorker),
            (blows.bus_losses, Blow::LosesBus),
            (blows.bus_full, Blow::FillsBus),
            (blows.store_down, Blow::StopsStore),
        ];
        let lasting = self.setting.faults_until - BEGIN;
        for (count, blow) in counts {
            for _ in 0..count {
                // Early, while most is going on, or any time.
                let most = if self.dice.chance(500) { 6_000.min(lasting) } else { lasting };
                let at = self.dice.below(most.max(1));
                self.after(at, Happening::Falls(blow));
            }
        }
    }

    pub fn fall(&mut self, blow: Blow) -> Checked {
        self.note(|| format!("{blow:?}"));
        match blow {
            Blow::Crashes => self.crash_any(),
            Blow::Pauses => {
                let place = self.dice.below(self.coordinators.len() as u64) as usize;
                self.coordinators[place].paused_until = self.now + self.dice.between(500, 12_000);
            }
            Blow::Drains => return self.drain_any(),
            Blow::HandsOver => return self.hand_over_any(),
            Blow::Starts(place, life) => self.restart(place, life),
            Blow::KillsAny => {
                let place = self.dice.below(self.workers.len() as u64) as usize;
                self.fire(place);
            }
            Blow::Kills(place, life) => {
                if self.workers[place].life == life {
                    self.fire(place);
                }
            }
            Blow::PausesWorker => {
                let place = self.dice.below(self.workers.len() as u64) as usize;
                let lasts = self.dice.between(500, 15_000);
                self.workers[place].paused_until = self.now + lasts;
                self.after(lasts + 1, Happening::Offers(place % crate::plans::POOLS.len()));
            }
            Blow::Hires(place) => self.hire(place),
            Blow::LosesBus => self.bus.lose(),
            Blow::FillsBus => {
                let lasts = self.dice.between(500, 8_000);
                self.bus.full_until = self.now + lasts;
            }
            Blow::StopsStore => {
                let lasts = self.dice.between(100, 7_000);
                self.store_goes_down(lasts);
            }
        }
        Ok(())
    }

    fn crash_any(&mut self) {
        let place = self.dice.below(self.coordinators.len() as u64) as usize;
        if self.coordinators[place].is_alive {
            self.crash(place);
            let delay = self.dice.between(50, 7_000);
            let life = self.coordinators[place].life;
            self.after(delay, Happening::Falls(Blow::Starts(place, life)));
        }
    }

    fn drain_any(&mut self) -> Checked {
        let place = self.dice.below(self.coordinators.len() as u64) as usize;
        let coordinator = &mut self.coordinators[place];
        if !coordinator.is_alive {
            return Ok(());
        }
        coordinator.is_draining = true;
        let process = (place, coordinator.life);
        let delay = self.dice.between(1_000, 5_000);
        self.after(delay, Happening::Falls(Blow::Starts(process.0, process.1)));
        self.complete(process, Completion::Drain)
    }

    fn hand_over_any(&mut self) -> Checked {
        let place = self.dice.below(self.coordinators.len() as u64) as usize;
        let coordinator = &self.coordinators[place];
        let process = (place, coordinator.life);
        match coordinator.held.keys().next().copied() {
            Some(shard) => self.complete(process, Completion::HandOver { shard }),
            None => Ok(()),
        }
    }

    /// Starts a coordinator again, under its own name or another.
    fn restart(&mut self, place: usize, life: u64) {
        if self.coordinators[place].life != life {
            return;
        }
        if self.coordinators[place].is_alive {
            self.crash(place);
        }
        let name = match self.dice.chance(500) {
            true => self.coordinators[place].name.clone(),
            false => format!("c{place}-{}", life + 1),
        };
        self.start_coordinator(place, name);
    }
}

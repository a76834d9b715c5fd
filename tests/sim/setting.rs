//! What a seed is about: how many of everything, and which faults befall them.

use crate::dice::Dice;
use crate::planted::Planted;

/// How often, in a thousand, something goes wrong while faults last.
#[derive(Debug, Clone, Default)]
pub struct Chances {
    /// A commit's answer is lost, before or after it landed.
    pub commit_unknown: u32,
    /// A commit takes up to three seconds.
    pub commit_slow: u32,
    /// A message of core NATS is lost.
    pub word_lost: u32,
    /// A publish is confirmed to nobody, and so repeated.
    pub unconfirmed: u32,
    /// An ack is lost.
    pub ack_lost: u32,
    /// A message takes up to two seconds.
    pub late: u32,
    /// A question cannot be answered.
    pub unavailable: u32,
    /// A worker dies over a task.
    pub deadly: u32,
    /// An execution hangs past its timeout.
    pub stuck: u32,
    /// A worker does not stop when it is told.
    pub disobeys: u32,
    /// An object that an execution needs is gone.
    pub object_lost: u32,
    /// A report holds what the database takes for no data.
    pub poison: u32,
    /// A message in an inbox does not decode.
    pub garbage: u32,
    /// A worker reports what nobody asked of it.
    pub forged: u32,
}

/// Things that befall whole processes, each so many times.
#[derive(Debug, Clone, Default)]
pub struct Blows {
    pub crashes: u64,
    pub pauses: u64,
    pub drains: u64,
    pub hand_overs: u64,
    pub worker_kills: u64,
    pub worker_pauses: u64,
    pub bus_losses: u64,
    pub bus_full: u64,
    pub store_down: u64,
}

/// What a seed is about.
#[derive(Debug, Clone)]
pub struct Setting {
    pub shards: u16,
    pub coordinators: u64,
    pub workers: u64,
    pub slots: u64,
    pub plans: u64,
    pub runs: u64,
    pub items_max: u64,
    /// How many times longer steps take.
    pub slowness: u64,
    /// Whether people cancel, rerun and repeat commands.
    pub people: bool,
    pub chances: Chances,
    pub blows: Blows,
    /// When the last fault has happened.
    pub faults_until: u64,
    pub planted: Option<Planted>,
}

impl Setting {
    /// A quarter of the seeds has no faults, an eighth only crashes of coordinators.
    pub fn of(seed: u64, dice: &mut Dice) -> Self {
        let mut setting = Self::without_faults(dice);
        match seed % 8 {
            0 | 1 => {}
            2 => {
                setting.blows.crashes = dice.between(1, 4);
                setting.faults_until += 20_000;
                setting.slowness = dice.between(1, 10);
            }
            _ => {
                setting.faults_until += 25_000;
                setting.slowness = dice.between(1, 20);
                setting.chances = chances(dice);
                setting.blows = blows(dice);
            }
        }
        setting
    }

    pub fn without_faults(dice: &mut Dice) -> Self {
        Self {
            shards: dice.between(1, 3) as u16,
            coordinators: dice.between(1, 3),
            workers: dice.between(1, 3),
            slots: dice.between(1, 4),
            plans: dice.between(1, 3),
            runs: dice.between(1, 6),
            items_max: if dice.chance(100) { 150 } else { 9 },
            slowness: 1,
            people: dice.chance(700),
            chances: Chances::default(),
            blows: Blows::default(),
            faults_until: super::world::BEGIN,
            planted: None,
        }
    }

    pub fn has_faults(&self) -> bool {
        self.faults_until > super::world::BEGIN
    }

    /// Whether coordinators die and nothing else goes wrong.
    pub fn only_crashes(&self) -> bool {
        let Blows {
            pauses,
            drains,
            hand_overs,
            worker_kills,
            worker_pauses,
            bus_losses,
            bus_full,
            store_down,
            ..
        } = self.blows;
        let others = pauses
            + drains
            + hand_overs
            + worker_kills
            + worker_pauses
            + bus_losses
            + bus_full
            + store_down;
        let Chances { late, unconfirmed, deadly, ack_lost, poison, commit_unknown, .. } =
            self.chances;
        others == 0 && late + unconfirmed + deadly + ack_lost + poison + commit_unknown == 0
    }
}

/// Half of the chances are none in a given seed, so that faults meet in all combinations.
fn chances(dice: &mut Dice) -> Chances {
    let mut some = |most: u64| if dice.chance(500) { dice.between(1, most) as u32 } else { 0 };
    Chances {
        commit_unknown: some(60),
        commit_slow: some(40),
        word_lost: some(300),
        unconfirmed: some(100),
        ack_lost: some(100),
        late: some(80),
        unavailable: some(200),
        deadly: some(20),
        stuck: some(10),
        disobeys: some(300),
        object_lost: some(400),
        poison: some(15),
        garbage: some(60),
        forged: some(30),
    }
}

fn blows(dice: &mut Dice) -> Blows {
    let mut some = |most: u64| if dice.chance(350) { dice.between(1, most) } else { 0 };
    Blows {
        crashes: some(3),
        pauses: some(3),
        drains: some(2),
        hand_overs: some(2),
        worker_kills: some(3),
        worker_pauses: some(2),
        bus_losses: some(2),
        bus_full: some(2),
        store_down: some(2),
    }
}

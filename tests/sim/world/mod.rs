//! The simulated world: one queue of happenings in the order of their time, and everything that
//! they befall. Single-threaded and without any clock but its own, so that a seed always tells the
//! same story.

mod bus;
pub mod coordinator;
mod nemesis;
mod owning;
mod people;
mod shell;
mod worker;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use maestro_engine::plan::CheckedPlan;
use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::{AskId, Completion, Publication};
use maestro_schemas::command::CommandAnswer;
use maestro_schemas::control::Cancel;
use maestro_schemas::digest::Digest;
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::{CommandId, ExecutionId, RunId};
use maestro_schemas::name::PoolName;
use maestro_schemas::step::{AttemptToken, StepAddress};
use uuid::Uuid;

use crate::bus::{Bus, Content, Subject};
use crate::check::{Checker, Violation};
use crate::dice::Dice;
use crate::plans;
use crate::planted::Planted;
use crate::setting::Setting;
use crate::store::{Fault, Store};
use coordinator::Coordinator;
use people::People;
use worker::Worker;

/// When a simulation begins, in milliseconds.
pub const BEGIN: u64 = 1_000_000;

/// How long after the last fault every run must have ended, in milliseconds.
pub const PATIENCE_MS: u64 = 900_000;

pub type Checked = Result<(), Violation>;

/// A process of a coordinator: its place and which start of it.
pub type Process = (usize, u64);

/// Something that happens at some time.
#[derive(Debug)]
pub enum Happening {
    /// Something reaches a coordinator's fold.
    Completes(Process, Completion),
    /// A commit reaches the database; its sender hears of it unless the answer is lost.
    CommitArrives { from: Process, sending: u64, commit: Arc<Commit>, heard: bool },
    /// The sender waited long enough.
    CommitUnknown { from: Process, sending: u64 },
    /// A process looks for shards to take.
    Looks(Process),
    /// The rows of a shard that was taken are read.
    Loads { by: Process, shard: u16, epoch: u64 },
    /// A process reads an inbox.
    Pulls { by: Process, shard: u16, at: u64 },
    /// A time that the fold asked for has come.
    Wakes(Process),
    /// A process says what it has ready and in flight.
    SaysDemand(Process),
    /// A publish reaches the bus.
    Publishes { by: Process, publication: Publication },
    /// An ack reaches the bus.
    Acks { shard: u16, consumer: u64, seq: u64 },
    /// A purge reaches the bus.
    Purges { run: RunId, attempt: Option<(StepAddress, AttemptToken)>, pools: Vec<PoolName> },
    /// A question reaches the database.
    Asks { by: Process, ask: AskId },
    /// A message reaches an inbox.
    InboxArrives { shard: u16, content: Content, from: Origin },
    /// Tasks may be there for a pool's workers.
    Offers(usize),
    /// An execution ends.
    Ends { worker: usize, execution: ExecutionId },
    /// A worker should have renewed a task.
    Renews { worker: usize, execution: ExecutionId, subject: Subject, seq: u64 },
    /// A worker says that it lives.
    Beats { worker: usize, life: u64 },
    /// A heartbeat reaches a coordinator.
    Stops { pool: PoolName, cancel: Cancel },
    /// Somebody asks something, or asks again because nobody answered.
    Asked(CommandId),
    /// An answer reaches who asked.
    Answered(CommandId, CommandAnswer),
    /// People look what has become of their runs.
    People,
    /// A blow falls.
    Falls(nemesis::Blow),
    /// The end is looked for.
    Ended,
}

/// Who put a message into an inbox and waits for its confirmation.
#[derive(Debug, Clone, Copy)]
pub enum Origin {
    Worker(usize, ExecutionId),
    Nobody,
}

struct Scheduled {
    at: u64,
    order: u64,
    what: Happening,
}

impl Scheduled {
    const fn key(&self) -> (u64, u64) {
        (self.at, self.order)
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// The simulated world.
pub struct World {
    pub now: u64,
    pub dice: Dice,
    pub setting: Setting,
    pub store: Store,
    pub bus: Bus,
    pub plans: Vec<CheckedPlan>,
    pub coordinators: Vec<Coordinator>,
    pub workers: Vec<Worker>,
    pub people: People,
    /// Objects that are gone, each as far as one run is concerned.
    pub lost: BTreeSet<(RunId, Digest)>,
    pub checker: Checker,
    pub trace: Option<Vec<String>>,
    pub happened: u64,
    /// What has happened how often, so that a simulation that simulates nothing is noticed.
    pub marks: BTreeMap<&'static str, u64>,
    store_down_until: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    ids: u128,
    is_over: bool,
}

impl World {
    pub fn new(setting: Setting, dice: Dice, checker: Checker) -> Self {
        let mut world = Self {
            now: BEGIN,
            dice,
            store: Store::with_shards(setting.shards),
            bus: Bus::new(setting.shards, &plans::POOLS),
            plans: Vec::new(),
            coordinators: Vec::new(),
            workers: Vec::new(),
            people: People::default(),
            lost: BTreeSet::new(),
            checker,
            trace: None,
            happened: 0,
            marks: BTreeMap::new(),
            store_down_until: 0,
            queue: BinaryHeap::new(),
            order: 0,
            ids: 0,
            is_over: false,
            setting,
        };
        world.store.fault = match world.setting.planted {
            Some(Planted::FenceIgnored) => Some(Fault::IgnoresFence),
            Some(Planted::TimersLost) => Some(Fault::LosesTimers),
            Some(Planted::DispatchLost) => Some(Fault::LosesDispatch),
            Some(Planted::EndsLost) => Some(Fault::LosesEnds),
            Some(Planted::CancelsLost) => Some(Fault::LosesCancels),
            Some(Planted::SecondCancelsLost) => Some(Fault::LosesSecondCancels),
            Some(Planted::AnybodyBlamed) => Some(Fault::BlamesAnybody),
            _ => None,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        for number in 0..self.setting.plans {
            let plan = plans::random(&mut self.dice, number, self.setting.items_max);
            self.store.plans.insert(plan.digest(), plan.clone());
            self.plans.push(plan);
        }
        for place in 0..self.setting.coordinators as usize {
            self.start_coordinator(place, format!("c{place}"));
        }
        for place in 0..self.setting.workers as usize * plans::POOLS.len() {
            self.hire(place);
        }
        self.begin_people();
        self.plan_blows();
        self.after(500, Happening::Ended);
    }

    /// Lets everything happen until nothing is left to happen.
    pub fn play(&mut self) -> Checked {
        while let Some(Reverse(next)) = self.queue.pop() {
            self.now = next.at;
            self.happened += 1;
            self.happen(next.what)?;
            if self.is_over {
                return self.checker.at_the_end(&self.store);
            }
        }
        Ok(())
    }

    fn happen(&mut self, what: Happening) -> Checked {
        match what {
            Happening::Completes(process, completion) => self.complete(process, completion),
            Happening::CommitArrives { from, sending, commit, heard } => {
                self.commit_arrives(from, sending, &commit, heard)
            }
            Happening::CommitUnknown { from, sending } => self.commit_unknown(from, sending),
            Happening::Looks(process) => self.look_for_shards(process),
            Happening::Loads { by, shard, epoch } => self.load_shard(by, shard, epoch),
            Happening::Pulls { by, shard, at } => self.pull(by, shard, at),
            Happening::Wakes(process) => self.wake(process),
            Happening::SaysDemand(process) => self.say_demand(process),
            Happening::Publishes { by, publication } => self.publish(by, publication),
            Happening::Acks { shard, consumer, seq } => self.ack(shard, consumer, seq),
            Happening::Purges { run, attempt, pools } => {
                pools.iter().for_each(|pool| self.bus.purge(pool.as_str(), run, attempt));
                Ok(())
            }
            Happening::Asks { by, ask } => self.answer_ask(by, ask),
            Happening::InboxArrives { shard, content, from } => {
                self.inbox_arrives(shard, content, from)
            }
            Happening::Offers(pool) => self.offer(pool),
            Happening::Ends { worker, execution } => self.end_execution(worker, execution),
            Happening::Renews { worker, execution, subject, seq } => {
                self.renew(worker, execution, (subject, seq))
            }
            Happening::Beats { worker, life } => self.beat(worker, life),
            Happening::Stops { pool, cancel } => self.stop(&pool, &cancel),
            Happening::Asked(command) => self.send_command(command),
            Happening::Answered(command, answer) => self.hear_answer(command, answer),
            Happening::People => self.watch_runs(),
            Happening::Falls(blow) => self.fall(blow),
            Happening::Ended => self.look_for_the_end(),
        }
    }

    /// Lets something happen so many milliseconds from now.
    pub fn after(&mut self, delay_ms: u64, what: Happening) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at: self.now + delay_ms, order: self.order, what }));
    }

    /// Whether a fault strikes now; none does once faults have ended.
    pub fn strikes(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.now < self.setting.faults_until && self.dice.chance(per_mille)
    }

    /// How long a message is on its way.
    pub fn travel(&mut self) -> u64 {
        match self.strikes(self.setting.chances.late) {
            true => self.dice.between(20, 2_000),
            false => self.dice.between(1, 4),
        }
    }

    pub fn is_planted(&self, fault: Planted) -> bool {
        self.setting.planted == Some(fault)
    }

    /// A new id's bits.
    pub const fn id(&mut self) -> Uuid {
        self.ids += 1;
        Uuid::from_u128(self.ids)
    }

    /// Counts something that is worth having happened.
    pub fn mark(&mut self, what: &'static str) {
        *self.marks.entry(what).or_default() += 1;
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} {}", self.now - BEGIN, line()));
        }
    }

    /// Whether a heartbeat or another word of core NATS arrives.
    pub fn is_heard(&mut self) -> bool {
        !self.strikes(self.setting.chances.word_lost)
    }

    pub fn tell_all(&mut self, heartbeat: &Heartbeat) {
        for place in 0..self.coordinators.len() {
            if self.coordinators[place].is_alive && self.is_heard() {
                let process = (place, self.coordinators[place].life);
                let delay = self.dice.between(0, 3);
                let heard = Completion::Heard(Box::new(heartbeat.clone()));
                self.after(delay, Happening::Completes(process, heard));
            }
        }
    }

    /// Ends the simulation once all runs have ended, all commands are answered and all inboxes are
    /// drained; a violation where that takes too long after the last fault.
    fn look_for_the_end(&mut self) -> Checked {
        let quiet = self.now > self.setting.faults_until && self.people.are_content();
        let drained = self.bus.inboxes.iter().all(|inbox| inbox.messages.is_empty());
        if quiet && drained && self.store.runs.values().all(|run| run.state().is_final()) {
            self.is_over = true;
            return Ok(());
        }
        if self.now > self.setting.faults_until.max(self.people.last_at) + PATIENCE_MS {
            self.is_over = true;
            return self.checker.never_ends(&self.store, &self.describe_waiting());
        }
        self.after(500, Happening::Ended);
        Ok(())
    }

    fn describe_waiting(&self) -> String {
        let open = self.people.open();
        let inboxes: Vec<usize> =
            self.bus.inboxes.iter().map(|inbox| inbox.messages.len()).collect();
        let why: Vec<_> = self
            .store
            .runs
            .values()
            .filter(|run| !run.state().is_final())
            .flat_map(|run| self.coordinators.iter().map(move |owner| (run.row.id, owner)))
            .filter_map(|(id, owner)| Some((id, owner.fold.why(id, self.now)?.waiting)))
            .collect();
        format!("commands open: {open:?}; inboxes: {inboxes:?}; why: {why:?}")
    }
}

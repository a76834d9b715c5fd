//! The heart, without I/O: what arrives is folded, one commit remembers, and what follows is asked
//! of the shell.
//!
//! | the shell (`coordinator/server/src/fold`) | this module |
//! |---|---|
//! | takes leases, reads rows, pulls messages | decides what they mean |
//! | writes a [`commit::Commit`] and says how it landed | decides what is in it, and what its landing means |
//! | publishes, acks, answers, asks | decides when each may happen |
//!
//! One [`Fold`] serves all shards of a coordinator with one commit at a time. The simulation in the
//! `tests` crate drives it against models of store and bus that crash, lose and repeat.

mod batch;
mod calls;
mod commands;
pub mod commit;
mod decided;
mod inputs;
mod landing;
mod lookup;
pub mod owned;
mod record;
mod release;
pub mod request;
mod sweep;
mod why;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::step::StepAddress;

use crate::plan::CheckedPlan;
use crate::run::Run;
use crate::run::graph::Graph;
use crate::schedule::{Place, Schedule};
use batch::{Batch, InFlight};
use commands::Pending;
use inputs::{Asked, Doubt, Input};
use lookup::Lookup;
use owned::{RENEWAL_MS, Shard};
use request::{AskId, Completion, Request};

/// The most messages that one batch folds.
pub const BATCH_MAX: usize = 512;

/// The most plans that are kept beyond those of the runs in memory.
const PLANS_MAX: usize = 256;

/// All shards of a coordinator, folded in one place.
#[derive(Debug)]
pub struct Fold {
    name: String,
    shards: BTreeMap<u16, Shard>,
    runs: BTreeMap<RunId, Run>,
    plans: BTreeMap<Digest, (CheckedPlan, Arc<Graph>)>,
    schedule: Schedule,
    inputs: VecDeque<Input>,
    in_flight: Option<InFlight>,
    asked: BTreeMap<AskId, Asked>,
    asks_made: u64,
    asks_again: BTreeSet<(u64, AskId)>,
    pending: BTreeMap<(u16, RunId), VecDeque<Pending>>,
    timers: BTreeSet<(u64, RunId, StepAddress)>,
    held: BTreeMap<(RunId, u32), (PoolName, Place)>,
    lookups: BTreeMap<(RunId, u32), Lookup>,
    batch_max: usize,
    cautious_until_ms: u64,
    poisoned: BTreeMap<RunId, String>,
    doubts: BTreeMap<u16, Doubt>,
    draining: bool,
    leaving: BTreeSet<u16>,
    swept_at_ms: u64,
    requests: Vec<Request>,
}

impl Fold {
    /// A coordinator without shards; `name` is what it bears in lease rows.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            shards: BTreeMap::new(),
            runs: BTreeMap::new(),
            plans: BTreeMap::new(),
            schedule: Schedule::default(),
            inputs: VecDeque::new(),
            in_flight: None,
            asked: BTreeMap::new(),
            asks_made: 0,
            asks_again: BTreeSet::new(),
            pending: BTreeMap::new(),
            timers: BTreeSet::new(),
            held: BTreeMap::new(),
            lookups: BTreeMap::new(),
            batch_max: BATCH_MAX,
            cautious_until_ms: 0,
            poisoned: BTreeMap::new(),
            doubts: BTreeMap::new(),
            draining: false,
            leaving: BTreeSet::new(),
            swept_at_ms: 0,
            requests: Vec::new(),
        }
    }

    /// Takes one completion, at `now_ms` of this process' clock, and says what is to be done.
    pub fn handle(&mut self, now_ms: u64, completion: Completion) -> Vec<Request> {
        self.take(now_ms, completion);
        if self.draining {
            self.leaving.extend(self.shards.keys());
        }
        if self.in_flight.is_none() {
            // Before the next batch: where much arrives there is always one more in flight.
            self.hand_over();
            self.fold(now_ms);
        }
        let numbers: Vec<u16> = self.shards.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.settle(number));
        self.requests.push(Request::WakeAt(self.next_wake(now_ms)));
        std::mem::take(&mut self.requests)
    }

    /// The shards that this coordinator owns.
    pub fn shards(&self) -> impl Iterator<Item = u16> {
        self.shards.keys().copied()
    }

    /// The runs in memory.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// What this coordinator has ready and in flight, for the others.
    pub fn demand(&self) -> crate::share::Demand {
        crate::share::Demand { coordinator: self.name.clone(), pools: self.schedule.demand() }
    }

    /// Whether a commit is on its way whose outcome is not known.
    pub const fn is_committing(&self) -> bool {
        self.in_flight.is_some()
    }

    /// How many messages wait to be folded: what the shell pulls no more beyond.
    pub fn backlog(&self) -> usize {
        self.inputs.len()
    }

    fn take(&mut self, now_ms: u64, completion: Completion) {
        match completion {
            Completion::Acquired(loaded) => self.acquire(now_ms, *loaded),
            Completion::Lost { shard } => self.drop_shard(shard, false),
            Completion::Pulled { shard, deliveries, read_past_ms } => {
                if let Some(owned) = self.shards.get_mut(&shard) {
                    owned.read_past_ms = owned.read_past_ms.max(read_past_ms.unwrap_or(0));
                    let inputs = deliveries.into_iter().flat_map(|one| Input::of(shard, one));
                    self.inputs.extend(inputs);
                }
            }
            Completion::Rebuilt { shard } => {
                if let Some(owned) = self.shards.get_mut(&shard) {
                    owned.unsettle(now_ms);
                }
            }
            Completion::Committed(landing) => self.landed(now_ms, landing),
            Completion::Published { run, step, token, result } => {
                self.published(now_ms, run, (step, token), result)
            }
            Completion::Answered(ask, answer) => {
                self.inputs.push_back(Input::Answered(ask, Box::new(answer)))
            }
            Completion::Heard(heartbeat) => self.heard(now_ms, &heartbeat),
            Completion::Demanded(demand) if demand.coordinator != self.name => {
                self.schedule.demanded(demand, now_ms)
            }
            Completion::Demanded(_) => {}
            Completion::Woke => self.woke(now_ms),
            Completion::HandOver { shard } => {
                self.leaving.insert(shard);
            }
            Completion::Drain => self.draining = true,
        }
    }

    /// Folds what waits into one batch, and asks for its commit.
    fn fold(&mut self, now_ms: u64) {
        let mut batch = Batch::default();
        let mut inputs = 0;
        for shard in self.shards.values_mut() {
            shard.clock_ms = shard.clock_ms.max(now_ms);
        }
        while inputs < self.batch_max {
            let Some(input) = self.inputs.pop_front() else {
                break;
            };
            if !self.fold_input(&mut batch, input, now_ms) {
                return;
            }
            inputs = if batch.touched.is_empty() { 0 } else { inputs + 1 };
        }
        self.fire_timers();
        // A batch of one is under suspicion: it holds one input, or what one release brings.
        let is_alone = self.batch_max == 1;
        let is_full = is_alone && inputs > 0;
        if !self.draining && !is_full {
            self.release(&mut batch, now_ms);
        }
        self.renew(&mut batch, now_ms);
        if !batch.touched.is_empty() {
            self.send(batch, (inputs, is_alone), now_ms);
        }
    }

    /// Lets shards that nothing else touched for a while take part, so that their leases hold.
    fn renew(&self, batch: &mut Batch, now_ms: u64) {
        let due = |shard: &Shard| now_ms.saturating_sub(shard.renewed_at_ms) >= RENEWAL_MS;
        batch
            .touched
            .extend(self.shards.iter().filter(|(_, shard)| due(shard)).map(|(number, _)| *number));
    }

    fn woke(&mut self, now_ms: u64) {
        if let Some(in_flight) = &mut self.in_flight
            && in_flight.again_at_ms.is_some_and(|at| at <= now_ms)
        {
            in_flight.again_at_ms = None;
            self.requests.push(Request::Commit(Arc::clone(&in_flight.commit)));
        }
        self.ask_again(now_ms);
        self.sweep(now_ms);
    }

    fn next_wake(&self, now_ms: u64) -> u64 {
        let renewal = self.shards.values().map(|shard| shard.renewed_at_ms + RENEWAL_MS);
        let timer = self.timers.first().map(|(due, _, _)| *due);
        let again = self.in_flight.as_ref().and_then(|in_flight| in_flight.again_at_ms);
        let ask = self.asks_again.first().map(|(at, _)| *at);
        let sweep = (!self.shards.is_empty()).then_some(self.swept_at_ms + sweep::SWEEP_MS);
        let next = renewal.chain(timer).chain(again).chain(ask).chain(sweep).min();
        next.map_or(now_ms + RENEWAL_MS, |at| at.max(now_ms + 1))
    }

    /// The plan of a digest with its edges, shared by all runs of it.
    fn share_plan(&mut self, digest: Digest, plan: CheckedPlan) -> (CheckedPlan, Arc<Graph>) {
        if self.plans.len() >= PLANS_MAX {
            self.plans.retain(|_, (_, graph)| Arc::strong_count(graph) > 1);
        }
        let shared = self.plans.entry(digest).or_insert_with(|| {
            let graph = Arc::new(Graph::of(&plan));
            (plan, graph)
        });
        shared.clone()
    }
}

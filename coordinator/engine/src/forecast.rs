//! What a run of a plan would do now: the engine's own run, played ahead as far as results that
//! are known carry it.
//!
//! It does no I/O. Its driver asks [`Forecast::wanted`] for keys, looks their results up, says
//! them to [`Forecast::learn`], and repeats this until no key is wanted. What then is
//! [`Forecast::seen`] of a step is what a run would do; a step that it did not come to depends on
//! one that is executed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::StepKey;
use maestro_schemas::step::{StepAddress, StepState};

use crate::decide::Facts;
use crate::event::Event;
use crate::plan::CheckedPlan;
use crate::plan::answer::Seen;
use crate::run::advance::{Next, is_reusable, known_result};
use crate::run::graph::Graph;
use crate::run::{Asking, NodeStatus, Run};
use crate::shard::commit::RunRow;
use crate::shard::request::KnownResult;

/// The most items of one fan-out whose results are looked up.
pub const ITEMS_MAX: u32 = 1_000;

/// The most items of all fan-outs together whose results are looked up.
pub const ITEMS_TOTAL_MAX: u32 = 20_000;

/// About how many keys are wanted at once: their results are in memory together.
const KEYS_AT_ONCE: usize = 1_000;

/// Time does not pass in a forecast.
const FACTS: Facts = Facts { now_ms: 0, epoch: 0 };

/// Results by key.
pub type Results = BTreeMap<Digest, KnownResult>;

/// A run that is played ahead.
#[derive(Debug)]
pub struct Forecast {
    run: Run,
    open: VecDeque<Question>,
    items: u32,
    seen: BTreeMap<u32, Seen>,
}

#[derive(Debug)]
enum Question {
    /// A node's result.
    Node(u32, StepKey),
    /// The results of a fan-out's items.
    Items(u32, Vec<Digest>),
}

impl Forecast {
    /// A run of `plan` that would begin now, under the id that it would have.
    pub fn begin(plan: CheckedPlan, project: ProjectName, id: RunId) -> Self {
        let graph = Arc::new(Graph::of(&plan));
        let row = RunRow::begin(id, project, &plan);
        let mut forecast = Self {
            run: Run::begin(row, plan, graph),
            open: VecDeque::new(),
            items: 0,
            seen: BTreeMap::new(),
        };
        forecast.go_on();
        forecast
    }

    /// Keys whose results must be known to go on; none once there is nothing more to see.
    pub fn wanted(&self) -> Vec<Digest> {
        let asked = self.open.iter().take(self.asked());
        let keys: BTreeSet<Digest> = asked.flat_map(Question::keys).collect();
        keys.into_iter().collect()
    }

    /// Takes note of the results of what is wanted; a key that is not among them has none.
    pub fn learn(&mut self, results: &Results) {
        let asked = self.asked();
        for question in self.open.drain(..asked).collect::<Vec<_>>() {
            match question {
                Question::Node(node, key) => self.learn_node(node, key, results),
                Question::Items(node, keys) => self.learn_items(node, &keys, results),
            }
        }
        self.go_on();
    }

    /// How many of the open questions are asked at once: at least one.
    fn asked(&self) -> usize {
        let mut keys = 0;
        let fits = |question: &&Question| {
            let first = keys == 0;
            keys += question.keys().len();
            first || keys <= KEYS_AT_ONCE
        };
        self.open.iter().take_while(fits).count()
    }

    /// What a run would do with a node; `None` where that depends on a step that is executed.
    pub fn seen(&self, node: u32) -> Option<&Seen> {
        self.seen.get(&node)
    }

    fn learn_node(&mut self, node: u32, key: StepKey, results: &Results) {
        let seen = match results.get(&key.digest) {
            Some(result) => {
                self.apply(&known_result(StepAddress::node(node), result.clone(), FACTS));
                Seen::Cached(key)
            }
            None => Seen::Runs(Some(key)),
        };
        self.seen.insert(node, seen);
    }

    fn learn_items(&mut self, node: u32, keys: &[Digest], results: &Results) {
        let found: Vec<&KnownResult> = keys.iter().filter_map(|key| results.get(key)).collect();
        self.seen.insert(node, Seen::Items { count: keys.len(), cached: found.len() });
        if found.len() < keys.len() {
            return;
        }
        if self.run.graph.read.get(node as usize) == Some(&true) {
            let outputs: Vec<Outputs> = found.iter().map(|known| known.outputs.clone()).collect();
            self.run.item_outputs.insert(node, Arc::new(outputs));
        }
        for (item, result) in (0u32..).zip(found) {
            self.apply(&known_result(StepAddress::item(node, item), result.clone(), FACTS));
        }
    }

    /// Looks at nodes as the run does, until each that is left waits for an answer or for a step
    /// that is executed.
    fn go_on(&mut self) {
        while let Some(node) = self.run.opened.pop_front() {
            match self.run.look_at(node, FACTS) {
                Next::Nothing | Next::Ask(Asking::Result, None) => {}
                Next::Release => {
                    self.seen.insert(node, Seen::Runs(None));
                }
                Next::Ask(Asking::Result, Some(_)) => {
                    let key = self.run.step_key(StepAddress::node(node));
                    self.open.extend(key.map(|key| Question::Node(node, key)));
                }
                // What it reads was executed in no forecast, so its outputs are not to be had.
                Next::Ask(Asking::ItemOutputs(_), _) => {}
                Next::Decide(event) => self.decide(node, &event),
            }
        }
    }

    fn decide(&mut self, node: u32, event: &Event) {
        if let Event::StepConcluded(concluded) = event
            && concluded.state != StepState::Cached
        {
            self.seen.insert(node, Seen::Skipped(concluded.reason.clone()));
        }
        self.apply(event);
        let Event::FanoutOpened { count, .. } = event else {
            return;
        };
        let reusable = self.run.node(node).is_some_and(is_reusable);
        match self.run.status(node) {
            NodeStatus::Fanout(_) if !reusable => {
                self.seen.insert(node, Seen::Runs(None));
            }
            NodeStatus::Fanout(_)
                if *count <= ITEMS_MAX && self.items + *count <= ITEMS_TOTAL_MAX =>
            {
                self.items += *count;
                let key = |item| self.run.step_key(StepAddress::item(node, item));
                let keys: Option<Vec<Digest>> =
                    (0..*count).map(|item| key(item).map(|key| key.digest)).collect();
                self.open.extend(keys.map(|keys| Question::Items(node, keys)));
            }
            NodeStatus::Fanout(_) => {}
            _ => {
                self.run.item_outputs.insert(node, Arc::new(Vec::new()));
                self.seen.insert(node, Seen::Skipped("it has no items".into()));
            }
        }
    }

    fn apply(&mut self, event: &Event) {
        self.run.apply(event, FACTS.now_ms);
    }
}

impl Question {
    fn keys(&self) -> Vec<Digest> {
        match self {
            Self::Node(_, key) => vec![key.digest],
            Self::Items(_, keys) => keys.clone(),
        }
    }
}

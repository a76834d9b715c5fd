//! The key that a step of a run had, made again from the run's rows.
//!
//! What a step was begun with is a function of what was committed, so nothing more is kept of its
//! key. Called by whoever explains why a step was executed.

use std::sync::Arc;

use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::StepKey;
use maestro_schemas::step::StepAddress;

use super::Run;
use super::graph::Graph;
use crate::shard::request::LoadedRun;

/// A run whose rows were read for the key of one of its steps.
#[derive(Debug)]
pub struct Keyed {
    run: Run,
    step: StepAddress,
}

impl Keyed {
    /// From the rows of a run, ended or not.
    pub fn read(loaded: LoadedRun, step: StepAddress) -> Self {
        let graph = Arc::new(Graph::of(&loaded.plan));
        let opened = loaded.fanouts.iter().find(|row| row.node == step.node && row.count > 0);
        let opened = opened.map(|row| (row.count, row.items.clone().map(Arc::new)));
        let mut run = Run::load(loaded, graph, 0);
        // A fan-out that has ended forgets its items.
        if let Some((count, items)) = opened {
            run.open_fanout(step.node, count, items, None);
        }
        Self { run, step }
    }

    /// A fan-out whose items' outputs must be learned before the key is known.
    pub fn wanted(&self) -> Option<u32> {
        self.run.unread_items(self.step.node)
    }

    /// Takes note of the outputs of a fan-out's items, one for each.
    pub fn learn(&mut self, node: u32, outputs: Vec<Outputs>) {
        self.run.item_outputs.insert(node, Arc::new(outputs));
    }

    /// The key; absent where the step's parameters do not resolve, or something it takes is missing.
    pub fn key(&self) -> Option<StepKey> {
        self.run.step_key(self.step)
    }
}

//! What a run that has ended holds for its rerun.

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::step::StepState;
use serde_json::Value;

use super::Made;
use super::bits::Bits;
use crate::shard::request::LoadedRun;

/// The finished steps of a run that has ended, by id of their node.
#[derive(Debug)]
pub struct Former {
    /// The run.
    pub run: RunId,
    /// Nodes that succeeded, but for fan-outs, with what they made.
    pub nodes: BTreeMap<String, Made>,
    /// Fan-outs that were opened.
    pub fanouts: BTreeMap<String, FormerFanout>,
}

/// A fan-out of a run that has ended.
#[derive(Debug)]
pub struct FormerFanout {
    /// How many items.
    pub count: u32,
    /// Items that an expression yielded.
    pub items: Option<Vec<Value>>,
    /// Items that succeeded.
    pub succeeded: Bits,
}

impl Former {
    /// Reads it from the run's rows.
    pub fn read(loaded: LoadedRun) -> Self {
        let plan = loaded.plan;
        let id = |node: u32| plan.nodes.get(node as usize).map(|node| node.id.clone());
        let fans_out =
            |node: u32| plan.nodes.get(node as usize).is_some_and(|node| node.for_each.is_some());
        let mut fanouts: BTreeMap<u32, FormerFanout> = BTreeMap::new();
        for row in loaded.fanouts {
            let reused = row.reused.unwrap_or_default();
            let succeeded = Bits::from_bytes(&reused, row.count);
            fanouts
                .insert(row.node, FormerFanout { count: row.count, items: row.items, succeeded });
        }
        let mut nodes = BTreeMap::new();
        let steps = loaded.steps.into_iter().map(|row| {
            (row.step, row.state, Made { outputs: row.outputs, artifacts: row.artifacts })
        });
        let attempts = loaded.attempts.into_iter().map(|row| {
            (row.step, row.state, Made { outputs: row.outputs, artifacts: row.artifacts })
        });
        for (step, _, made) in steps.chain(attempts).filter(|(_, state, _)| state.is_success()) {
            match (fans_out(step.node), fanouts.get_mut(&step.node), id(step.node)) {
                (true, Some(fanout), _) => {
                    fanout.succeeded.insert(step.item);
                }
                (false, _, Some(id)) => {
                    nodes.insert(id, made);
                }
                _ => {}
            }
        }
        for (node, item, state) in loaded.items {
            if let Some(fanout) = fanouts
                .get_mut(&node)
                .filter(|_| matches!(state, StepState::Succeeded | StepState::Cached))
            {
                fanout.succeeded.insert(item);
            }
        }
        let fanouts =
            fanouts.into_iter().filter_map(|(node, fanout)| Some((id(node)?, fanout))).collect();
        Self { run: loaded.row.id, nodes, fanouts }
    }
}

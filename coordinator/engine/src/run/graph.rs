//! What of a plan every run of it needs again and again, derived once.

use std::collections::BTreeMap;

use maestro_schemas::plan::Plan;

/// The plan's edges, turned round, and what is read of each node.
#[derive(Debug, PartialEq)]
pub struct Graph {
    /// For each node, the nodes that need it.
    pub dependents: Vec<Vec<u32>>,
    /// For each node, whether anybody reads its outputs or artifacts.
    pub read: Vec<bool>,
    /// Nodes that belong to `finally`.
    pub finally: Vec<u32>,
    /// How many nodes do not.
    pub ordinary: u32,
    /// Node indices by id.
    pub ids: BTreeMap<String, u32>,
}

impl Graph {
    /// Derives it from a checked plan.
    pub fn of(plan: &Plan) -> Self {
        let mut dependents = vec![Vec::new(); plan.nodes.len()];
        let mut read = vec![!plan.outputs.is_empty(); plan.nodes.len()];
        let mut finally = Vec::new();
        let mut ids = BTreeMap::new();
        for (index, node) in (0u32..).zip(&plan.nodes) {
            for need in &node.needs {
                if let Some(list) = dependents.get_mut(*need as usize) {
                    list.push(index);
                }
            }
            for source in node.reads.iter().chain(node.inputs.iter().map(|input| &input.node)) {
                if let Some(flag) = read.get_mut(*source as usize) {
                    *flag = true;
                }
            }
            if node.finally {
                finally.push(index);
            }
            ids.insert(node.id.clone(), index);
        }
        let ordinary = u32::try_from(plan.nodes.len() - finally.len()).unwrap_or(u32::MAX);
        Self { dependents, read, finally, ordinary, ids }
    }

    /// All nodes that need one of `from`, directly or not, and those themselves, ascending.
    pub fn downstream(&self, from: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let mut reached = vec![false; self.dependents.len()];
        let mut open: Vec<u32> = from.into_iter().collect();
        while let Some(node) = open.pop() {
            match reached.get_mut(node as usize) {
                Some(flag) if !*flag => {
                    *flag = true;
                    open.extend(self.dependents.get(node as usize).into_iter().flatten());
                }
                _ => {}
            }
        }
        (0u32..).zip(reached).filter(|(_, flag)| *flag).map(|(node, _)| node).collect()
    }
}

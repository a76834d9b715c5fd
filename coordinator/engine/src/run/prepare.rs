//! A step made ready to be carried out: its parameters resolved, its inputs named by digest.
//!
//! Everything here is a function of what was committed, so that an attempt's task is the same
//! whenever and by whomever it is put on the bus.

use std::borrow::Cow;
use std::collections::BTreeMap;

use maestro_schemas::beside::Beside;
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::{Items, Node, StepKey};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::{Task, TaskInput};
use serde_json::Value;

use super::{NodeStatus, Run};
use crate::expression::{self, Item, Scope, StepOutputs, StepResult};
use crate::plan::key;

impl Run {
    /// The task of an attempt, or in words why the step cannot be carried out.
    pub fn prepare(&self, step: StepAddress, token: AttemptToken) -> Result<Task, String> {
        let node = self.node(step.node).ok_or("the plan has no such step")?;
        let item = self.item_value(step);
        let scope = self.scope(step.node, item.as_deref().map(|value| (step.item, value)));
        let resolved = expression::resolve(&self.plan, step.node, &scope)
            .map_err(|error| error.to_string())?;
        Ok(Task {
            run: self.id,
            step,
            token,
            shard: self.shard,
            project: self.project.clone(),
            pipeline: Some(self.plan.name.clone()),
            pool: node.pool.clone(),
            name: self.step_name(step),
            action: node.action.name.clone(),
            with: serde_json::to_vec(&resolved.with).map_err(|error| error.to_string())?,
            env: resolved.env.into_owned(),
            secrets: node.secrets.clone(),
            effect: node.effect,
            idempotency_key: format!(
                "{}:{}",
                self.rerun.as_ref().map_or(self.id, |rerun| rerun.of),
                // A visit makes again what the step made before: the same effect, the same key.
                StepAddress { visit: 0, ..step }
            ),
            timeout_ms: node.timeout_ms,
            resources: node.resources.clone(),
            isolation: node.isolation,
            network: node.network.clone(),
            workspace: node.workspace.clone(),
            inputs: self.task_inputs(step.node)?,
            outputs: node.outputs.clone(),
            beside: beside(node, item.as_deref())?,
            cap_microusd: node.budget_microusd,
            traceparent: None,
        })
    }

    fn task_inputs(&self, node: u32) -> Result<Vec<TaskInput>, String> {
        let inputs = self.node(node).map(|node| node.inputs.as_slice()).unwrap_or_default();
        inputs
            .iter()
            .map(|input| {
                let made = self
                    .made
                    .get(&input.node)
                    .map(|made| made.artifacts.as_slice())
                    .unwrap_or_default();
                let artifact = made.iter().find(|artifact| artifact.role == input.role);
                let source = self.node(input.node).map_or("?", |node| node.id.as_str());
                artifact
                    .map(|artifact| TaskInput {
                        artifact: artifact.clone(),
                        path: input.path.clone(),
                    })
                    .ok_or_else(|| format!("{source} made no artifact {:?}", input.role))
            })
            .collect()
    }

    /// The key of a step whose inputs are all there; `None` where its parameters do not resolve.
    pub fn step_key(&self, step: StepAddress) -> Option<StepKey> {
        let node = self.node(step.node)?;
        if node.key.is_some() && node.for_each.is_none() {
            return node.key.clone();
        }
        let item = self.item_value(step);
        let scope = self.scope(step.node, item.as_deref().map(|value| (step.item, value)));
        let resolved = expression::resolve(&self.plan, step.node, &scope).ok()?;
        let inputs = self.task_inputs(step.node).ok()?;
        let digests =
            inputs.iter().map(|input| (input.path.clone(), input.artifact.digest)).collect();
        let key = key::of(node, &resolved.with, &resolved.env, &digests);
        match (node.beside.splits, item) {
            (true, Some(share)) => Some(key::joined(key, "split", Digest::of_json(&share))),
            _ => Some(key),
        }
    }

    /// What the expressions of a node can name; `item` where it is one of a fan-out.
    pub(super) fn scope<'a>(&'a self, index: u32, item: Option<(u32, &'a Value)>) -> Scope<'a> {
        let reads = self.node(index).map(|node| node.reads.as_slice()).unwrap_or_default();
        Scope {
            run: self.id,
            project: &self.project,
            steps: self.results(reads.iter().copied()),
            item: item.map(|(index, value)| Item { index, value }),
        }
    }

    /// What the pipeline's own outputs can name: every node.
    pub(super) fn whole_scope(&self) -> Scope<'_> {
        let count = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        Scope { run: self.id, project: &self.project, steps: self.results(0..count), item: None }
    }

    fn results(&self, nodes: impl Iterator<Item = u32>) -> BTreeMap<u32, StepResult<'_>> {
        static NOTHING: Outputs = Outputs::new();
        nodes
            .filter_map(|node| {
                let NodeStatus::Ended(end) = self.status(node) else {
                    return None;
                };
                let outputs = match (self.item_outputs.get(&node), self.made.get(&node)) {
                    (Some(items), _) => StepOutputs::Items(items),
                    (None, Some(made)) => StepOutputs::One(&made.outputs),
                    (None, None) => StepOutputs::One(&NOTHING),
                };
                Some((node, StepResult { state: end.state, outputs }))
            })
            .collect()
    }

    /// The value of an item of a node's fan-out; nothing where it is none.
    fn item_value(&self, step: StepAddress) -> Option<Cow<'_, Value>> {
        let each = self.node(step.node)?.for_each.as_ref()?;
        let opened = match self.status(step.node) {
            NodeStatus::Fanout(fanout) => fanout.items.as_deref(),
            _ => None,
        };
        match (&each.items, opened) {
            (Items::Literal(items), _) => items.get(step.item as usize).map(Cow::Borrowed),
            (Items::Expression(_), Some(items)) => items.get(step.item as usize).map(Cow::Borrowed),
            (Items::Range(_), _) | (Items::Expression(_), None) => {
                Some(Cow::Owned(Value::from(step.item)))
            }
        }
    }
}

/// What stands beside the command of a step, with its share where its items are shares.
fn beside(node: &Node, item: Option<&Value>) -> Result<Beside, String> {
    let mut beside = node.beside.clone();
    if beside.splits {
        let share = item.cloned().unwrap_or_default();
        beside.share = Some(serde_json::from_value(share).map_err(|error| error.to_string())?);
    }
    Ok(beside)
}

//! What a run's expressions can name: `inputs`, the plan's facts, `steps`, `item`, `index`,
//! `matrix`, `run`, `project`, and the functions over how things went.

use std::collections::BTreeMap;

use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::plan::Plan;
use maestro_schemas::step::StepState;
use minijinja::Value;
use serde_json::Value as Json;

use super::name::{Name, names};
use super::program::value;

/// What the expressions of one step, or of a run's outputs, are evaluated against.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// The run: `run.id`.
    pub run: RunId,
    /// Its tenant: `project`.
    pub project: &'a ProjectName,
    /// Results of the steps that are read, by node.
    pub steps: BTreeMap<u32, StepResult<'a>>,
    /// The item, in a fan-out.
    pub item: Option<Item<'a>>,
}

/// How a step that is read ended.
#[derive(Debug, Clone, Copy)]
pub struct StepResult<'a> {
    /// `steps.NAME.state`.
    pub state: StepState,
    /// `steps.NAME.outputs`.
    pub outputs: StepOutputs<'a>,
}

/// What a step that is read said.
#[derive(Debug, Clone, Copy)]
pub enum StepOutputs<'a> {
    /// A step's named values; empty where it did not succeed.
    One(&'a Outputs),
    /// A fan-out's: a list with one object for each item, in order.
    Items(&'a [Outputs]),
}

/// One item of a fan-out.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// `index`, from 0.
    pub index: u32,
    /// `item`, also named `matrix`.
    pub value: &'a Json,
}

/// How all that a step needs has ended, and the run with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether something failed that is not allowed to.
    pub failure: bool,
    /// Whether the run is being cancelled.
    pub cancelled: bool,
}

impl Status {
    /// Whether a step without a condition of its own goes on.
    pub const fn is_success(self) -> bool {
        !self.failure && !self.cancelled
    }
}

impl Scope<'_> {
    /// What `expression` can name, as far as it names it.
    pub(super) fn context(&self, plan: &Plan, expression: &str, status: Status) -> Value {
        let read = names(expression);
        let mut values: BTreeMap<&str, Value> = BTreeMap::new();
        for name in &read {
            if !values.contains_key(name.root.as_str())
                && let Some(value) = self.value(plan, name, &read, status)
            {
                values.insert(&name.root, value);
            }
        }
        Value::from_pairs(values)
    }

    fn value(&self, plan: &Plan, name: &Name, read: &[Name], status: Status) -> Option<Value> {
        match name.root.as_str() {
            "inputs" => Some(value(&plan.inputs)),
            "steps" => Some(self.steps(plan, read)),
            "item" | "matrix" => self.item.map(|item| value(item.value)),
            "index" => self.item.map(|item| Value::from(item.index)),
            "run" => Some(Value::from_pairs([("id", self.run.to_string())])),
            "project" => Some(Value::from(self.project.as_str())),
            "success" => Some(Value::from_function(move || status.is_success())),
            "failure" => Some(Value::from_function(move || status.failure)),
            "cancelled" => Some(Value::from_function(move || status.cancelled)),
            "always" => Some(Value::from_function(|| true)),
            fact => plan.facts.get(fact).map(value),
        }
    }

    fn steps(&self, plan: &Plan, read: &[Name]) -> Value {
        let wanted =
            |id: &str| read.iter().any(|name| name.root == "steps" && name.segment(0) == Some(id));
        let read = self
            .steps
            .iter()
            .filter_map(|(node, result)| Some((&plan.nodes.get(*node as usize)?.id, result)))
            .filter(|(id, _)| wanted(id))
            .map(|(id, result)| (id.clone(), result.value()));
        Value::from_pairs(read)
    }
}

impl StepResult<'_> {
    fn value(&self) -> Value {
        let outputs = match self.outputs {
            StepOutputs::One(outputs) => value(outputs),
            StepOutputs::Items(items) => value(items),
        };
        Value::from_pairs([("state", Value::from(self.state.as_str())), ("outputs", outputs)])
    }
}

//! The catalogue: what can be run, announced by workers and kept by the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::PoolName;

/// What repeating an action may do to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing but its result: may be cached and repeated.
    Pure,
    /// Repeating it under the same idempotency key changes nothing more.
    #[default]
    Idempotent,
    /// May happen once only.
    Once,
}

/// An action that a pool serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionInfo {
    /// The name in `run:`, as `build.typescript`; a last word `*` stands for any one word.
    pub name: String,
    /// The version that takes part in step keys.
    pub version: String,
    /// The pool whose workers serve it.
    pub pool: PoolName,
    /// One sentence for people.
    pub summary: String,
    /// What it does to the world when repeated, unless the step says otherwise.
    pub effect: Effect,
    /// JSON Schema of the step's `with`.
    pub with_schema: serde_json::Value,
}

impl ActionInfo {
    /// Whether a step's `run` names this action.
    pub fn serves(&self, run: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => {
                run.strip_prefix(prefix).is_some_and(|word| !word.is_empty() && !word.contains('.'))
            }
            None => self.name == run,
        }
    }
}

//! The author's definition, `maestro.yaml`, as types.
//!
//! These types are the one truth of the language's keys: the JSON Schema that editors use, the
//! checks with positions and the decoding are all made from them. What a key means is said here
//! and, with examples, in the language's reference. `{{ … }}` may stand in every text that the
//! reference marks as a template.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod scalar;
mod service;
mod step;

pub use scalar::{Duration, InvalidDuration, Memory, Names, Scalar};
pub use service::{Service, ServiceReady};
pub use step::{
    Artifact, ArtifactSettings, Axis, Cache, CachePolicy, Condition, Matrix, Reports, Retry,
    RetrySettings, Secret, SecretSettings, Split, Step, StepResources, Use,
};

/// A pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// The pipeline's name.
    pub name: String,
    /// The pipeline's own version, in any form; quote it where it looks like a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Values that whoever starts a run may give, by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, Input>,
    /// Environment of every step; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Scalar>,
    /// What lists of runs are filtered by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Scalar>,
    /// What holds for each step that does not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Defaults>,
    /// Workspaces are checked out from git instead of made from the pipeline's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout: Option<Checkout>,
    /// The sections; each follows the one before it unless it says `needs`.
    pub stages: Vec<Stage>,
    /// Steps that run in order once all else has ended, whatever happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub finally: Vec<Step>,
    /// Values that a run yields; templates over `steps`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub outputs: IndexMap<String, Value>,
}

/// A value that whoever starts a run may give.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The kind of value; `string` where nothing is said.
    #[serde(default, rename = "type")]
    pub kind: InputType,
    /// The value where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// Whether a run cannot begin without it; what has neither this nor a default is `null`.
    #[serde(default)]
    pub required: bool,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The values that may be given; only for `choice`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<Value>>,
}

/// The kind of an input's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputType {
    /// A text.
    #[default]
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// An object.
    Object,
    /// One of `options`.
    Choice,
}

impl InputType {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Object => "object",
            Self::Choice => "choice",
        }
    }
}

/// What holds for each step that does not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The longest that one attempt may run; `30m` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// When a failed attempt is followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Which ready step goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<crate::plan::Priority>,
    /// What of a worker a step takes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<StepResources>,
    /// How steps of the pool `build` are kept apart from their worker's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<crate::sandbox::Isolation>,
    /// What of the network steps of the pool `build` reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<crate::sandbox::Network>,
}

/// A commit that workspaces are checked out from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkout {
    /// What `git fetch` takes: an `https`, `ssh` or `file` URL; a template.
    pub url: String,
    /// The commit, 40 hexadecimal digits: a branch would not be the same tomorrow; a template.
    pub commit: String,
}

/// A named section of a pipeline: exactly one of `steps` and `parallel`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The first part of its steps' ids.
    pub name: String,
    /// The stages that it follows, instead of the one before it; `[]` for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Names>,
    /// When its steps run; holds for each of them, together with its own.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Environment of each of its steps; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Scalar>,
    /// Steps that run in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Element>>,
    /// Steps that run together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Vec<Step>>,
}

/// What stands in a stage's `steps`: a step, or steps that run together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Element {
    /// Steps that run together in their place.
    Group(Group),
    /// A step.
    Step(Box<Step>),
}

/// Steps that run together within a stage's `steps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The steps.
    pub parallel: Vec<Step>,
}

//! A step of a pipeline, and what can be said of it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::scalar::{Duration, Memory, Names, Scalar};
use super::service::Service;
use crate::action::Effect;
use crate::outcome::FailureClass;
use crate::plan::Priority;
use crate::sandbox::{Isolation, Network};

/// A step: exactly one of `run` and `uses`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The second part of its id; the last word of `run` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The action, as `build.typescript`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Another pipeline beside this one, as `./lib.yaml`, whose steps stand in this one's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<String>,
    /// The action's parameters, or the other pipeline's inputs; templates.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// Environment; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Scalar>,
    /// The secrets that it uses, by the variable that gets each: the secret's name, with `@` and a
    /// version behind it or without.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
    /// The steps or stages that it follows, instead of the order that it would have had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Names>,
    /// When it runs, once all that it needs has ended; `success()` where nothing is said.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// A list, a number of items, or a template that yields one: the step runs for each `item`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<Value>,
    /// Axes: the step runs for each combination, which it reads as `matrix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<Matrix>,
    /// Directories that its worker keeps for the project's steps, by name; they are no part of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caches: Option<Vec<String>>,
    /// Servers that run as long as its commands do, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<String, Service>,
    /// Files that parallel copies of the step share out among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The most items that are live at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_max: Option<NonZeroU32>,
    /// Whether one item's failure skips the items that have not begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
    /// The longest that one attempt may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// When a failed attempt is followed by another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Which ready step goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// The name of a limit that it holds one of while it is live; a template over inputs and git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<String>,
    /// What of a worker it takes up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<StepResources>,
    /// How it is kept apart from its worker's host; the best that the worker has where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What of the network it reaches; none under `isolation: strict`, else all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// What repeating it does to the world; the action's own where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether a known result is taken instead of running it; only for `effect: pure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// The most that its attempts together may cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub budget: Option<f64>,
    /// Whether the run can succeed although it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_failure: Option<bool>,
    /// Globs of the workspace files that it sees; all of them where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Names>,
    /// What is kept of its workspace, by the name under which later steps ask for it.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub artifacts: IndexMap<String, Artifact>,
    /// Reports that its tools write, which are read when its command has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Reports>,
    /// Artifacts of former steps that are put into its workspace.
    #[serde(default, rename = "use", skip_serializing_if = "Vec::is_empty")]
    pub uses_artifacts: Vec<Use>,
}

/// Files that parallel copies of a step share out among them, by how long each took before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Globs of the files, relative to the pipeline's directory.
    pub files: Names,
    /// How many copies there are; not more than files.
    #[schemars(range(min = 1, max = 256))]
    pub parts: u32,
}

/// Reports that a step's tools write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// Globs of the JUnit XML of its tests, relative to the workspace.
    pub junit: Names,
}

/// A secret that a step uses: its name, or its name and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secret {
    /// A name; the variable holds the value.
    Name(String),
    /// A name and more.
    Settings(SecretSettings),
}

/// A secret that a step uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSettings {
    /// Its name, with `@` and a version behind it or without.
    pub secret: String,
    /// Whether the value is put into a file, and the variable holds the file's path.
    #[serde(default)]
    pub file: bool,
}

/// When a step runs: an expression, with or without `{{ }}`, or `true` or `false`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// Always so.
    Literal(bool),
    /// An expression.
    Expression(String),
}

/// A file or directory that is kept: its path, or its path and more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Artifact {
    /// A path relative to the workspace.
    Path(String),
    /// A path and more.
    Settings(ArtifactSettings),
}

/// A file or directory that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactSettings {
    /// A path relative to the workspace.
    pub path: String,
    /// Whether the step may succeed without it.
    #[serde(default)]
    pub optional: bool,
}

/// An artifact of a former step that is put into a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The step, by its name or its `stage/name`.
    pub from: String,
    /// The name that the artifact has there.
    pub artifact: String,
    /// Where it is put, relative to the workspace; where it was made if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Axes of a matrix, each a list or a template that yields one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Matrix {
    /// Each joins the combinations that it contradicts in no axis, or is one of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<BTreeMap<String, Value>>,
    /// Combinations that these match are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<BTreeMap<String, Value>>,
    /// The axes by name, the first varying slowest.
    #[serde(flatten)]
    pub axes: IndexMap<String, Axis>,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Axis {
    /// These.
    Values(Vec<Value>),
    /// What a template yields.
    Template(String),
}

/// When a failed attempt is followed by another: how often, or how often and more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Retry {
    /// How many attempts may follow the first.
    Max(#[schemars(range(max = 100))] u32),
    /// How often and more.
    Settings(RetrySettings),
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// How many attempts may follow the first; 2 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100))]
    pub max: Option<u32>,
    /// The pause before the first of them; `1s` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
    /// What each further pause is multiplied by; 2 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub factor: Option<f64>,
    /// The longest pause; `1m` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
    /// The classes of failure that are retried; `transient` and `throttled` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<FailureClass>>,
}

/// What of a worker a step takes up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepResources {
    /// Slots of its worker; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<NonZeroU32>,
    /// Processor cores, as `0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub cpu: Option<f64>,
    /// Memory, as `512MiB`; a number is mebibytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Whole GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
}

/// Whether a known result is taken instead of running the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cache {
    /// Whether.
    Enabled(bool),
    /// That it is, and what its key is salted with.
    Policy(CachePolicy),
}

/// How a step's results are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CachePolicy {
    /// Joins the key: another salt disowns all former results.
    pub salt: String,
}

//! A pipeline compiled for given inputs: a graph of steps, ready to be submitted by digest.
//!
//! A plan is what the engine runs and all that it knows of the pipeline. Equal sources, inputs and
//! facts give equal plans, byte for byte. Who receives one from the network checks it with the
//! engine before it trusts an index in it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::action::Effect;
use crate::beside::Beside;
use crate::digest::Digest;
use crate::name::PoolName;
use crate::outcome::FailureClass;
use crate::sandbox::{Isolation, Network};
use crate::secret::SecretUse;

/// The version of the plan's form that this build writes.
pub const PLAN_VERSION: u16 = 1;

/// The most nodes of a plan; a fan-out counts once.
pub const NODES_MAX: usize = 10_000;

/// The most items of one fan-out.
pub const ITEMS_MAX: u32 = 1_000_000;

/// A compiled pipeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// [`PLAN_VERSION`] of the build that wrote it.
    pub version: u16,
    /// The pipeline's name.
    pub name: String,
    /// The pipeline's own version, as its author wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline_version: Option<String>,
    /// The inputs, with defaults filled in and types checked.
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
    /// Named facts that expressions read at run time beside `inputs` and `steps`: `git`, which is here
    /// too where workspaces hold the directory's files, as the source that evidence names.
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    /// The sections, in the author's order.
    pub stages: Vec<Stage>,
    /// The steps, each after all that it needs.
    pub nodes: Vec<Node>,
    /// Expressions of the pipeline's own outputs.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
    /// What could not be resolved when planning, and is said instead of guessed.
    #[serde(default)]
    pub unresolved: Vec<Unresolved>,
    /// What the author should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Plan {
    /// The digest that the plan is stored and submitted under.
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        Ok(Digest::of_json(&serde_json::to_value(self)?))
    }
}

/// A named section of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// The author's name for it.
    pub name: String,
}

/// A thing that a plan names and that cannot be resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unresolved {
    /// The step's id.
    pub step: String,
    /// What kind of thing: `action`, `prompt`, `model`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// A step, or a fan-out of steps, in a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    /// `stage/name`, unique in the plan.
    pub id: String,
    /// Index of its stage.
    pub stage: u32,
    /// What it runs.
    pub action: ActionRef,
    /// The pool whose workers run it.
    pub pool: PoolName,
    /// Parameters; texts in it may hold `{{ … }}` where `templated` says so.
    #[serde(default)]
    pub with: Value,
    /// Declared environment; values may hold `{{ … }}` where `templated` says so.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The secrets that it uses, by the variable that gets each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretUse>,
    /// Whether `with` or `env` holds an expression that only the run can evaluate.
    #[serde(default)]
    pub templated: bool,
    /// Indices of the nodes that must have ended before, ascending, each below its own.
    #[serde(default)]
    pub needs: Vec<u32>,
    /// Indices of the nodes whose outputs its expressions read, a subset of `needs`' closure.
    #[serde(default)]
    pub reads: Vec<u32>,
    /// When it runs, once all that it needs has ended; absent means `success()`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Present where it is a fan-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<ForEach>,
    /// What repeating it does to the world.
    #[serde(default)]
    pub effect: Effect,
    /// The content-addressed key, where all that determines it was known when planning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<StepKey>,
    /// Whether a known result of its key is taken instead of running it; only for `pure`.
    #[serde(default)]
    pub cached: bool,
    /// What the author adds to the key, to disown a poisoned set of results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The longest that one attempt may run, in milliseconds.
    pub timeout_ms: u64,
    /// When a failed attempt is followed by another.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// Which ready step goes first.
    #[serde(default)]
    pub priority: Priority,
    /// The name of a limit that it holds one of while it is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<String>,
    /// What of a worker it takes up.
    #[serde(default)]
    pub resources: Resources,
    /// How it is kept apart from its worker's host; the best that the worker has where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What of the network it reaches; none under `isolation: strict`, else all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The most that its attempts together may cost, in millionths of a US dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_microusd: Option<u64>,
    /// Whether the run can succeed although it failed.
    #[serde(default)]
    pub allow_failure: bool,
    /// Whether it belongs to `finally`: runs once all else has ended, whatever happened.
    #[serde(default)]
    pub finally: bool,
    /// The files that its workspace begins with.
    #[serde(default)]
    pub workspace: Workspace,
    /// Artifacts of former steps that are put into its workspace.
    #[serde(default)]
    pub inputs: Vec<InputArtifact>,
    /// What is kept of its workspace when it succeeds.
    #[serde(default)]
    pub outputs: Vec<OutputArtifact>,
    /// What stands beside its command.
    #[serde(default, skip_serializing_if = "Beside::is_empty")]
    pub beside: Beside,
}

/// An action by name and version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ActionRef {
    /// As written after `run:`.
    pub name: String,
    /// From the catalogue; absent where nobody has announced it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What a step's result is stored under, with what went into it, so that a miss can be explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepKey {
    /// The digest over `parts` but for those named `file:…`, `with:…` and `env:…`, which only explain
    /// the parts `files`, `with` and `env`.
    pub digest: Digest,
    /// Name and digest of each thing that determines the result, as `with`, `env:CC`, `file:src/a.ts`;
    /// never a value.
    pub parts: BTreeMap<String, Digest>,
}

/// A fan-out: the same step for each item of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForEach {
    /// The items.
    pub items: Items,
    /// The most items that are live at once; absent means what the pool has room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_max: Option<NonZeroU32>,
    /// Whether one item's failure skips the items that have not begun.
    #[serde(default)]
    pub fail_fast: bool,
}

/// Where a fan-out's items come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Items {
    /// Known when planning; a matrix is a list of objects.
    Literal(Vec<Value>),
    /// The numbers 0, 1, … below this.
    Range(u32),
    /// An expression over inputs and former outputs that yields a list or a whole number.
    Expression(String),
}

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetryPolicy {
    /// How many attempts may follow the first.
    pub retries_max: u32,
    /// The pause before the first retry, in milliseconds.
    pub delay_ms: u64,
    /// What each further pause is multiplied by.
    pub factor: f64,
    /// The longest pause, in milliseconds.
    pub delay_ms_max: u64,
    /// The classes of failure that are retried.
    pub on: Vec<FailureClass>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retries_max: 2,
            delay_ms: 1_000,
            factor: 2.0,
            delay_ms_max: 60_000,
            on: vec![FailureClass::Transient, FailureClass::Throttled],
        }
    }
}

/// Which ready step goes first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before all others.
    Critical,
    /// Before what is normal.
    High,
    /// What is not marked.
    #[default]
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// All of them, the first to go first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// 0 for the first to go, 3 for the last: the subject token and the row's number.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// The priority of a rank; what is beyond the last is the last.
    pub const fn from_rank(rank: u8) -> Self {
        match rank {
            0 => Self::Critical,
            1 => Self::High,
            2 => Self::Normal,
            _ => Self::Low,
        }
    }
}

/// What of a worker a step takes up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Resources {
    /// Slots of its worker.
    pub slots: NonZeroU32,
    /// Thousandths of a processor core.
    #[serde(default)]
    pub cpu_millis: u32,
    /// Mebibytes of memory.
    #[serde(default)]
    pub memory_mib: u32,
    /// Whole GPUs.
    #[serde(default)]
    pub gpu: u32,
}

impl Default for Resources {
    fn default() -> Self {
        Self { slots: NonZeroU32::MIN, cpu_millis: 0, memory_mib: 0, gpu: 0 }
    }
}

/// The files that a step's workspace begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Workspace {
    /// Nothing.
    #[default]
    Empty,
    /// A [`crate::artifact::Tree`] in object storage.
    Tree {
        /// The tree's digest.
        digest: Digest,
    },
    /// A commit of a git repository.
    Git {
        /// What `git fetch` takes: an `https`, `ssh` or `file` URL.
        url: String,
        /// The commit, 40 hexadecimal digits.
        commit: String,
    },
}

/// An artifact of a former step that is put into a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputArtifact {
    /// Index of the node that makes it.
    pub node: u32,
    /// The role that it has there.
    pub role: String,
    /// Where it is put, relative to the workspace.
    pub path: String,
}

/// What is kept of a workspace when its step succeeds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputArtifact {
    /// The name under which later steps ask for it.
    pub role: String,
    /// A file or directory relative to the workspace.
    pub path: String,
    /// Whether the step may succeed without it.
    #[serde(default)]
    pub optional: bool,
}

//! The message to a pool: do this attempt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Effect;
use crate::artifact::Artifact;
use crate::beside::Beside;
use crate::id::RunId;
use crate::name::{PoolName, ProjectName};
use crate::plan::{OutputArtifact, Resources, Workspace};
use crate::sandbox::{Isolation, Network};
use crate::secret::SecretUse;
use crate::step::{AttemptToken, StepAddress};

/// Do this attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's fencing token.
    pub token: AttemptToken,
    /// The shard whose inbox takes the report; nobody computes it anew.
    pub shard: u16,
    /// The tenant.
    pub project: ProjectName,
    /// The pipeline's name; absent in what older builds sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// The pool that it was sent to.
    pub pool: PoolName,
    /// The step's id in the plan, as `build/typescript`, with `[item]` behind it in a fan-out.
    pub name: String,
    /// The action, as written after `run:`.
    pub action: String,
    /// Parameters as JSON, with every expression resolved.
    #[serde(with = "serde_bytes")]
    pub with: Vec<u8>,
    /// Declared environment, with every expression resolved.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The secrets that it uses, by the variable that gets each: names, never values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretUse>,
    /// What repeating the action may do.
    pub effect: Effect,
    /// Equal for all attempts of the step in a line of reruns, `run:step`.
    pub idempotency_key: String,
    /// The longest that the attempt may run, in milliseconds.
    pub timeout_ms: u64,
    /// What of a worker it takes up.
    #[serde(default)]
    pub resources: Resources,
    /// How it is kept apart from its worker's host; the best that the worker has where nothing is said.
    #[serde(default)]
    pub isolation: Option<Isolation>,
    /// What of the network it reaches; none under `isolation: strict`, else all, where nothing is said.
    #[serde(default)]
    pub network: Option<Network>,
    /// The files that its workspace begins with.
    #[serde(default)]
    pub workspace: Workspace,
    /// Artifacts that are put into the workspace.
    #[serde(default)]
    pub inputs: Vec<TaskInput>,
    /// What is kept of the workspace.
    #[serde(default)]
    pub outputs: Vec<OutputArtifact>,
    /// What stands beside the command.
    #[serde(default, skip_serializing_if = "Beside::is_empty")]
    pub beside: Beside,
    /// The most that the attempt may spend, in millionths of a US dollar.
    #[serde(default)]
    pub cap_microusd: Option<u64>,
    /// W3C trace context of the run.
    #[serde(default)]
    pub traceparent: Option<String>,
}

/// An artifact that is put into a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInput {
    /// The bytes.
    pub artifact: Artifact,
    /// Where they are put, relative to the workspace.
    pub path: String,
}

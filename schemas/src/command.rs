//! What people, CI and timers ask of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::id::{CommandId, RunId};
use crate::name::ProjectName;

/// What somebody asks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Its own id: folded again, it gets the same answer.
    pub id: CommandId,
    /// The run.
    pub run: RunId,
    /// The tenant that owns the run.
    pub project: ProjectName,
    /// Who asks: a token's name, or `subject` for a message that anyone permitted published.
    pub actor: String,
    /// The inbox subject that the answer is sent to, if somebody waits for it.
    #[serde(default)]
    pub answer_to: Option<String>,
    /// What is asked.
    pub ask: CommandKind,
}

/// What is asked of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Begin it.
    Submit(Submission),
    /// End it early.
    Cancel {
        /// Why, for people; at most 1 KiB.
        reason: String,
    },
}

/// A run to begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// The stored plan.
    pub plan: Digest,
    /// What lists are filtered by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The run whose finished steps it refers to, for a rerun.
    #[serde(default)]
    pub rerun: Option<Rerun>,
}

/// What a rerun takes over from the run before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rerun {
    /// The run that has ended.
    pub of: RunId,
    /// Ids of the steps that are executed again, with all that needs them; `stage/name` or, inside
    /// a fan-out, `stage/name[item]`.
    pub from: Vec<String>,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CommandAnswer {
    /// It stands in the truth.
    Accepted,
    /// It changes nothing, and why.
    Refused {
        /// A stable code with a page in `docs/errors/`.
        code: String,
        /// What was found and what was expected.
        message: String,
    },
}

/// The answer to a command, as it is sent to [`Command::answer_to`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The command.
    pub command: CommandId,
    /// What became of it.
    pub answer: CommandAnswer,
}

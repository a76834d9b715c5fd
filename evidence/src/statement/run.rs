//! All that a run leaves: a statement whose subjects are its files, each with its digest.

use maestro_schemas::digest::Digest;
use serde::{Deserialize, Serialize};

use super::Predicate;
use crate::moment::Moment;

/// The most files of a run's evidence.
pub const FILES_MAX: usize = 100_000;

/// The most statements about what a run's attempts made.
pub const STATEMENTS_MAX: usize = 20_000;

/// A run, as the statement over its files says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunEvidence {
    /// The tenant.
    pub project: String,
    /// The run.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The plan's digest.
    pub plan: Digest,
    /// How the run ended.
    pub state: String,
    /// When it began.
    pub created_on: Moment,
    /// When it ended.
    pub finished_on: Moment,
    /// When this was signed.
    pub signed_on: Moment,
    /// What of its evidence is not here, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Predicate for RunEvidence {
    const TYPE: &'static str = "https://maestro.dev/evidence/run/v1";
}

/// The files' names in a directory of evidence.
pub mod file {
    /// The statement over all other files.
    pub const MANIFEST: &str = "manifest.sigstore.json";
    /// The signed list of keys. It may be newer than the run, so the manifest does not name it.
    pub const KEYS: &str = "keys.json";
    /// The root key, in PEM, for `openssl` and for people. It is read by nobody here.
    pub const ROOT: &str = "root.pub";
    /// The directory of summaries: which artifact may go where. They are signed when somebody promotes one,
    /// so the manifest does not name them.
    pub const PROMOTIONS: &str = "promotions";
    /// The directory of entries of the audit log about the run, with their proofs. The log is signed on its
    /// own, so the manifest does not name them.
    pub const AUDIT: &str = "audit";
    /// The run's row.
    pub const RUN: &str = "run.json";
    /// The plan.
    pub const PLAN: &str = "plan.json";
    /// The directory of statements.
    pub const STATEMENTS: &str = "statements";
    /// The directory of artifacts.
    pub const ARTIFACTS: &str = "artifacts";
    /// The directory of attempts, in pages.
    pub const ATTEMPTS: &str = "attempts";
    /// The directory of steps that ended without an attempt, in pages.
    pub const STEPS: &str = "steps";
    /// What was asked of the run, with its answers.
    pub const COMMANDS: &str = "commands.json";
    /// The directory of calls of models, in pages.
    pub const CALLS: &str = "calls";
    /// The directory of routing decisions with their verdicts, in pages.
    pub const DECISIONS: &str = "decisions";
}

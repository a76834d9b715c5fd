//! How an artifact was made: SLSA provenance of version 1, one statement for each attempt that made
//! something.

use std::collections::BTreeMap;

use maestro_schemas::artifact::LOG_ROLE;
use maestro_schemas::digest::Digest;
use maestro_schemas::sandbox::SANDBOX_ROLE;
use maestro_schemas::tested::TESTS_ROLE;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Descriptor, Predicate};
use crate::moment::Moment;

/// How a step's parameters are to be read.
pub const BUILD_TYPE: &str = "https://maestro.dev/buildtypes/step/v1";

/// Before the isolation and `/v1` in a builder's id.
pub const BUILDER_PREFIX: &str = "https://maestro.dev/builders/";

/// Artifacts that come besides: no statement is about them, and each names its attempt's.
pub const BYPRODUCTS: [&str; 3] = [LOG_ROLE, SANDBOX_ROLE, TESTS_ROLE];

/// Before `RUN/STEP#ROLE` in the uri of what another step made.
pub const MADE_PREFIX: &str = "maestro:";

/// How an artifact was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provenance {
    /// What was asked for.
    pub build_definition: BuildDefinition,
    /// What happened.
    pub run_details: RunDetails,
}

impl Provenance {
    /// What other steps made for it.
    pub fn from_steps(&self) -> impl Iterator<Item = &Descriptor> {
        let all = self.build_definition.resolved_dependencies.iter();
        all.filter(|source| source.uri.starts_with(MADE_PREFIX))
    }
}

impl Predicate for Provenance {
    const TYPE: &'static str = "https://slsa.dev/provenance/v1";
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What the one who started the run controls.
    pub external_parameters: External,
    /// What Maestro set.
    pub internal_parameters: Internal,
    /// What it was made from.
    pub resolved_dependencies: Vec<Descriptor>,
}

/// What the one who started the run controls. A step's own parameters stand in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct External {
    /// The pipeline's name.
    pub pipeline: String,
    /// The step's id in the plan.
    pub step: String,
    /// The plan's digest.
    pub plan: Digest,
    /// The run's inputs.
    pub inputs: BTreeMap<String, Value>,
}

/// What Maestro set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Internal {
    /// The tenant.
    pub project: String,
    /// The run.
    pub run: String,
    /// The action, with its version.
    pub action: String,
    /// The step's number in the plan, its item and its visit.
    pub step: [u32; 3],
    /// The attempt's number.
    pub attempt: u32,
    /// When this was signed.
    pub signed_on: Moment,
    /// The step's key, where it was known when planning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// How the step was kept apart from its host, in its worker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Value>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunDetails {
    /// Who made it.
    pub builder: Builder,
    /// When, and by which execution.
    pub metadata: Metadata,
    /// What came besides: the log, and what the attempt was kept in.
    pub byproducts: Vec<Descriptor>,
}

/// Who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Builder {
    /// One for each way in which steps are kept apart.
    pub id: String,
    /// Versions by name.
    pub version: BTreeMap<String, String>,
}

/// When, and by which execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// `RUN/STEP/ATTEMPT/EXECUTION`.
    pub invocation_id: String,
    /// When the attempt was decided.
    pub started_on: Moment,
    /// When its report was folded.
    pub finished_on: Moment,
}

impl Builder {
    /// The builder that keeps steps apart in this way.
    pub fn isolating(isolation: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self {
            id: format!("{BUILDER_PREFIX}{isolation}/v1"),
            version: BTreeMap::from([("maestro".to_owned(), version)]),
        }
    }
}

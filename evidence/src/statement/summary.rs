//! That an artifact may go somewhere: SLSA's verification summary of version 1.

use serde::{Deserialize, Serialize};

use super::{Descriptor, Predicate};
use crate::moment::Moment;

/// Who verifies what is to be promoted.
pub const VERIFIER: &str = "https://maestro.dev/verifiers/promotion/v1";

/// Before the environment in a resource's uri.
pub const PROMOTION_PREFIX: &str = "maestro:promotion/";

/// The result of what may go.
pub const PASSED: &str = "PASSED";

/// The version of SLSA that levels are of.
pub const SLSA_VERSION: &str = "1.1";

/// The name of a run's manifest among what was read.
pub const MANIFEST_NAME: &str = "manifest";

/// What was verified of an artifact, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Summary {
    /// Who verified.
    pub verifier: Verifier,
    /// When.
    pub time_verified: Moment,
    /// Where the artifact may go: `maestro:promotion/ENVIRONMENT`.
    pub resource_uri: String,
    /// The policies that were asked.
    pub policy: Descriptor,
    /// The statements that were read.
    pub input_attestations: Vec<Descriptor>,
    /// `PASSED`, or `FAILED`.
    pub verification_result: String,
    /// The levels that were found.
    pub verified_levels: Vec<String>,
    /// The version of SLSA that the levels are of.
    pub slsa_version: String,
}

impl Predicate for Summary {
    const TYPE: &'static str = "https://slsa.dev/verification_summary/v1";
}

/// Who verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verifier {
    /// Its id.
    pub id: String,
}

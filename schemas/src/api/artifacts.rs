//! `/v1/projects/{project}/runs/{run}/artifacts`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;

/// What the steps of a run made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactList {
    /// One for each artifact of an attempt that counts.
    pub artifacts: Vec<StepArtifact>,
}

/// An artifact and the step that made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepArtifact {
    /// The step's id.
    pub step: String,
    /// The bytes.
    #[serde(flatten)]
    pub artifact: Artifact,
}

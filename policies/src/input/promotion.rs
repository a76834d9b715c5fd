//! What is verified of an artifact before it goes to an environment.

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::digest::Digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of JSON: it names each of a run's steps, of which there are up to 10,000.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// How long a rule may look at it: nobody waits for it but whoever promotes.
pub(super) const TIME_MAX: Duration = Duration::from_secs(1);

/// An artifact, where it is to go, and what its evidence says. All of it was signed, but for who asks and
/// when. What was signed is not all known: of a snapshot of a directory, `sources` are the submitter's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The project.
    pub project: String,
    /// Where it is to go, as `staging`.
    pub environment: String,
    /// Who asks for it: a token's name.
    pub by: String,
    /// When.
    pub now: Now,
    /// What is to go.
    pub artifact: Made,
    /// The run whose evidence was verified.
    pub run: Evidenced,
    /// The keys that signed it, by their ids.
    pub keys: BTreeSet<String>,
    /// The builders of the artifact and of all that steps made for it.
    pub builders: BTreeSet<String>,
    /// What all of that was built from.
    pub sources: Vec<Source>,
    /// The run's steps in the plan's order, and how each ended.
    pub steps: Vec<StepEnd>,
    /// What the SBOMs say that came with the artifact.
    pub sbom: Bills,
}

/// A time in UTC, as texts that compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Now {
    /// As `2026-11-27`.
    pub date: String,
    /// As `friday`.
    pub weekday: String,
    /// As `16:05`.
    pub time: String,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Its digest.
    pub digest: Digest,
    /// The step that made it.
    pub step: String,
    /// What it is called there.
    pub role: String,
    /// How long ago it was made, in hours.
    pub age_hours: f64,
}

/// A run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidenced {
    /// Its id.
    pub id: String,
    /// Its pipeline.
    pub pipeline: String,
    /// How it ended, as `succeeded`.
    pub state: String,
}

/// What something was built from.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The repository, as `git+https://example.org/app.git`, of which a worker checked the commit out. Empty
    /// where a directory's snapshot was taken; then the rest is what whoever submitted the run said of it.
    pub uri: String,
    /// The branch; left out where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The tag; left out where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The commit.
    pub commit: String,
    /// Whether there was something that was not committed.
    pub dirty: bool,
}

/// How a step ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepEnd {
    /// Its id, as `test/unit`.
    pub name: String,
    /// What it ran, as `test.node`.
    pub action: String,
    /// `succeeded`, `cached`, `skipped`, `failed` or what else its record says; `none` where nothing was
    /// begun.
    pub end: String,
}

/// What SBOMs say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bills {
    /// How many there are.
    pub documents: u32,
    /// How many components they name.
    pub components: u32,
    /// The licences of those: identifiers and names. An expression counts as all that it names.
    pub licences: BTreeSet<String>,
    /// How many components say nothing of their licence.
    pub unlicensed: u32,
}

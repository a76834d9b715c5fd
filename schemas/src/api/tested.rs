//! `/v1/projects/{project}/runs/{run}/tests` and `…/test-durations`

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tested::{TestCase, TestTotals};

/// What the tests of a run said: of each step the last attempt that told of any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestPage {
    /// The steps with tests, in the plan's order; at most 10,000, and on the first page only.
    #[serde(default)]
    pub steps: Vec<StepTests>,
    /// Their cases, in the order of the reports.
    pub cases: Vec<CaseView>,
    /// What to pass as `cursor` for the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How the tests of a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepTests {
    /// The step's id.
    pub step: String,
    /// The attempt's number; 0 where the step took over a known result.
    pub attempt: u32,
    /// How many ended how.
    pub totals: TestTotals,
    /// What of the reports could not be read.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A case, and the step that ran it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseView {
    /// The step's id.
    pub step: String,
    /// The attempt's number; 0 where the step took over a known result.
    pub attempt: u32,
    /// What the report says of it.
    #[serde(flatten)]
    pub case: TestCase,
}

/// How long the tests of a pipeline took lately, for whoever shares them out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Durations {
    /// For each step, the middle one of the last runs' microseconds by file, or by class where the
    /// reports name no file.
    pub steps: BTreeMap<String, BTreeMap<String, u64>>,
}

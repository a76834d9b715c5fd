//! What the tests of a step said, as its worker read them from the reports that its tools wrote.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The role of the artifact that holds a [`TestReport`]; the worker's own.
pub const TESTS_ROLE: &str = "test-report";

/// The media type of a [`TestReport`] in object storage; no declared artifact has it.
pub const TESTS_MEDIA_TYPE: &str = "application/vnd.maestro.tests.v1+json";

/// The most bytes of a [`TestReport`] as JSON.
pub const TESTS_BYTES_MAX: u64 = 32 << 20;

/// The most cases that are kept of one attempt.
pub const CASES_MAX: usize = 20_000;

/// The longest name of a case, a class, a suite or a file, in bytes.
pub const NAME_BYTES_MAX: usize = 500;

/// The longest message of a case, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 4096;

/// What the tests of an attempt said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestReport {
    /// Over all cases, those that are left out included.
    pub totals: TestTotals,
    /// In the order in which they stand, at most [`CASES_MAX`]; those that failed stay longest.
    #[serde(default)]
    pub cases: Vec<TestCase>,
    /// What of the reports could not be read, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestTotals {
    /// Cases that passed.
    pub passed: u32,
    /// Cases that found something else than they expected.
    pub failed: u32,
    /// Cases that did not come so far.
    pub errors: u32,
    /// Cases that were left out by those who wrote them.
    pub skipped: u32,
    /// What they took together, in milliseconds.
    pub duration_ms: u64,
    /// Cases that are counted and not kept.
    #[serde(default)]
    pub left_out: u32,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestCase {
    /// The suite's name; empty where it has none.
    #[serde(default)]
    pub suite: String,
    /// What the report calls its class; empty where it says nothing.
    #[serde(default)]
    pub class: String,
    /// Its name.
    pub name: String,
    /// The file that it stands in, where the report says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How it ended.
    pub outcome: TestOutcome,
    /// How long it took, in microseconds, where the report says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What went wrong, cut at [`MESSAGE_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// As it was expected.
    Passed,
    /// It found something else than it expected.
    Failed,
    /// It did not come so far.
    Error,
    /// It was left out.
    Skipped,
}

impl TestOutcome {
    /// The text that stands in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }

    /// What a row's text means.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Passed, Self::Failed, Self::Error, Self::Skipped]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }

    /// Whether it is bad news.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Error)
    }
}

impl TestTotals {
    /// Counts a case.
    pub fn count(&mut self, outcome: TestOutcome) {
        let count = match outcome {
            TestOutcome::Passed => &mut self.passed,
            TestOutcome::Failed => &mut self.failed,
            TestOutcome::Error => &mut self.errors,
            TestOutcome::Skipped => &mut self.skipped,
        };
        *count = count.saturating_add(1);
    }
}

//! What the story has shown, for `--json`.

use maestro_schemas::id::RunId;
use serde::Serialize;

use super::accident::Report;

/// All of it, in the order of the acts.
#[derive(Debug, Default, Serialize)]
pub struct Facts {
    /// What the model said of the file that is changed later; absent where nobody reviewed.
    pub review: Option<Review>,
    /// The build.
    pub build: Option<Build>,
    /// What was killed in its middle, and how it went on.
    pub accident: Option<Report>,
    /// The build with one file changed.
    pub again: Option<Again>,
    /// What was verified of the build's evidence.
    pub verified: Option<Verified>,
    /// The run that failed on purpose, and its step.
    pub failed: Option<(RunId, String)>,
    /// Processes that were left at the end.
    pub left_running: usize,
}

/// A review.
#[derive(Debug, Serialize)]
pub struct Review {
    /// The model that was to review.
    pub model: String,
    /// Whether the gateway answered by itself, since no provider's key was there.
    pub offline: bool,
    /// The last lines of what it said, or of why it could not.
    pub said: Vec<String>,
}

/// The build's end.
#[derive(Debug, Serialize)]
pub struct Build {
    /// The run.
    pub run: RunId,
    /// How many of the project's own tests passed.
    pub tests: u64,
    /// What its attempts took together, in milliseconds.
    pub work_ms: u64,
    /// From submission to end, in milliseconds.
    pub took_ms: u64,
}

/// What was verified of a run's evidence.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// How many files were what was signed.
    pub files: usize,
    /// How many statements held.
    pub statements: usize,
    /// The file that was named after a bit of it was flipped.
    pub flipped: Option<String>,
}

/// What one changed file cost.
#[derive(Debug, Serialize)]
pub struct Again {
    /// The run.
    pub run: RunId,
    /// How many steps' results were reused.
    pub reused: usize,
    /// The steps that ran.
    pub ran: Vec<String>,
    /// The inputs that differed.
    pub changed: Vec<String>,
}

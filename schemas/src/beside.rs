//! What stands beside a step's command: reports that are read, directories that are kept, servers that
//! run as long as it does, and its share of the files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most globs of reports of a step.
pub const GLOBS_MAX: usize = 20;

/// What stands beside a step's command. None of it tells what the command is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// Globs of the workspace's JUnit reports, which are read when the command has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub junit: Vec<String>,
}

impl Beside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

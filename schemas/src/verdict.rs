//! Verdicts: what the policies answer at a hook, why, and by which bundle about which input.
//!
//! `policies` makes them; whoever asks keeps them, so that a decision can be explained and repeated.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A place in Maestro where policies are asked.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// May this request go to this model?
    RouteChoice,
    /// May this step cost so much?
    Cost,
    /// May this step use this prompt?
    PromptUse,
    /// May this artifact go to this environment?
    Promotion,
}

impl Hook {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RouteChoice, Self::Cost, Self::PromptUse, Self::Promotion];

    /// Its name, as it is written in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RouteChoice => "route-choice",
            Self::Cost => "cost",
            Self::PromptUse => "prompt-use",
            Self::Promotion => "promotion",
        }
    }

    /// The Rego package that it asks.
    pub const fn package(self) -> &'static str {
        match self {
            Self::RouteChoice => "maestro.routing",
            Self::Cost => "maestro.cost",
            Self::PromptUse => "maestro.prompts",
            Self::Promotion => "maestro.promotion",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Where it was asked.
    pub hook: Hook,
    /// Whether it may be done.
    pub allowed: bool,
    /// Why it may not; empty where it may.
    pub reasons: Vec<Reason>,
    /// The bundle that answered; the digest of no bytes where there was none.
    pub bundle: Digest,
    /// The JSON that it was asked about, with sorted keys.
    pub input: Digest,
}

/// One reason of a denial.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Reason {
    /// The rule that denies, as `data.maestro.routing.deny`.
    pub rule: String,
    /// What was found, and what would make it pass.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_called_the_same_everywhere() {
        for hook in Hook::ALL {
            let json = serde_json::to_value(hook).unwrap();
            assert_eq!(json, hook.name());
            assert_eq!(hook.to_string(), hook.name());
        }
    }
}

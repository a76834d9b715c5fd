//! What a call is for: what the policies are told beside the request.
//!
//! Whoever takes a [`Purpose`] calls [`Purpose::check`] before it hands it on.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::InvalidRequest;
use super::request::{NAMES_MAX, at_most, is_name};
use crate::digest::Digest;
use crate::prompt;

/// The longest id of a step, in bytes; it may bear an item behind it.
const STEP_BYTES_MAX: u64 = 1_024;

/// What a call is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purpose {
    /// The step's id.
    #[serde(default)]
    pub step: String,
    /// The tags that the pipeline's author gave the step.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub step_tags: BTreeSet<String>,
    /// The prompt that the messages were rendered from, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptRef>,
}

/// A prompt by its name and the digest of its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptRef {
    /// Its name.
    pub name: String,
    /// The digest that the plan pins.
    pub digest: Digest,
}

/// What the registry knows of a prompt's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    /// Its newest version with that text, from 1; 0 where the registry has none.
    pub version: u32,
    /// What people have said of that version, as `approved`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<String>,
}

impl Purpose {
    /// Whether it keeps the limits.
    pub fn check(&self) -> Result<(), InvalidRequest> {
        at_most("step", self.step.len() as u64, STEP_BYTES_MAX)?;
        at_most("step_tags", self.step_tags.len() as u64, NAMES_MAX as u64)?;
        self.step_tags.iter().try_for_each(|tag| is_name("step_tags", tag))?;
        match &self.prompt {
            Some(PromptRef { name, .. }) if prompt::path(name).is_none() => Err(InvalidRequest {
                field: "prompt",
                found: format!("a text of {} bytes", name.len()),
                expected: "a prompt's name: words of lower-case letters, digits, _ and -"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_a_limit_is_named_with_its_field() {
        let field = |purpose: Purpose| purpose.check().unwrap_err().field;
        let step = "a".repeat(2_000);
        assert_eq!(field(Purpose { step, ..Purpose::default() }), "step");
        let step_tags = (0..=NAMES_MAX).map(|number| number.to_string()).collect();
        assert_eq!(field(Purpose { step_tags, ..Purpose::default() }), "step_tags");
        let prompt = |name: &str| PromptRef { name: name.to_owned(), digest: Digest::of(b"") };
        let purpose = |name| Purpose { prompt: Some(prompt(name)), ..Purpose::default() };
        assert_eq!(field(purpose("../x")), "prompt");
        assert_eq!(purpose("team/review").check(), Ok(()));
    }
}

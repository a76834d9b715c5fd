//! What each hook sees: the declared part of a step, as types. Nothing else reaches a policy.
//!
//! Whoever asks fills them in; a field that is not known is left out, and a policy that needs it then
//! has to say no. The JSON of these types is what `input` is in a policy, and `check` refuses a
//! policy that asks for a field that its hook does not have.

mod promotion;

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::digest::Digest;
use maestro_schemas::verdict::Hook;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};

use crate::engine::{EVALUATION_TIME_MAX, QUESTION_BYTES_MAX};

pub use promotion::{Bills, Evidenced, Made, Now, Promotion, Source, StepEnd};

/// What a hook can be asked about.
pub trait Input: Serialize {
    /// The hook.
    const HOOK: Hook;

    /// It is no longer, in bytes of JSON.
    const BYTES_MAX: usize = QUESTION_BYTES_MAX;

    /// A rule may look at it no longer.
    const TIME_MAX: Duration = EVALUATION_TIME_MAX;

    /// Why no policy should be asked about this at all.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// A request, and a model that it could go to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteChoice {
    /// What is asked for.
    pub request: Request,
    /// Where it could go.
    pub candidate: Candidate,
    /// The step's tags and the content's, together: `request.step_tags` and `request.tags`.
    #[serde(default)]
    pub step_tags: BTreeSet<String>,
    /// The same as `candidate.model`.
    #[serde(default)]
    pub selected_model: String,
}

impl RouteChoice {
    /// Fills in what is said twice.
    pub fn new(request: Request, candidate: Candidate) -> Self {
        let step_tags = request.step_tags.union(&request.tags).cloned().collect();
        Self { step_tags, selected_model: candidate.model.clone(), request, candidate }
    }

    /// The same with what is said twice filled in anew: a file may leave it out, and no file can
    /// say something else there.
    pub fn completed(self) -> Self {
        let named = self.step_tags;
        let mut whole = Self::new(self.request, self.candidate);
        whole.step_tags.extend(named);
        whole
    }
}

/// What is asked of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The project.
    pub project: String,
    /// The tags that the pipeline's author gave the step.
    #[serde(default)]
    pub step_tags: BTreeSet<String>,
    /// The tags that were found in the content, as `pii`, `secret` and `export_ctrl`.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The jurisdictions that the content may be processed in, as `DE`; empty where all are permitted.
    #[serde(default)]
    pub jurisdictions: BTreeSet<String>,
    /// The regions that the content may be kept in, as `eu-central-1`; empty where all are permitted.
    #[serde(default)]
    pub residency: BTreeSet<String>,
}

/// A model at a provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The model, as its project calls it.
    pub model: String,
    /// The deployment of it.
    #[serde(default)]
    pub deployment: String,
    /// Who runs it.
    #[serde(default)]
    pub provider: String,
    /// The jurisdiction that it is run under, as `DE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// The region that it is run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Whether the provider keeps nothing of what it is sent (zero data retention).
    #[serde(default)]
    pub zdr: bool,
    /// Whether it runs on machines of one's own.
    #[serde(default)]
    pub local: bool,
}

/// What a step is expected to cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The estimate, in US dollars; left out where no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost: Option<f64>,
    /// What it may cost, in US dollars; left out where there is no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_budget: Option<f64>,
    /// The project.
    pub project: String,
    /// The step's id.
    pub step: String,
    /// The model that the estimate is for.
    #[serde(default)]
    pub model: String,
}

/// A prompt, and the step that would use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromptUse {
    /// The prompt.
    pub prompt: Prompt,
    /// The project.
    pub project: String,
    /// The step's id.
    pub step: String,
    /// The step's tags and the content's.
    #[serde(default)]
    pub step_tags: BTreeSet<String>,
    /// The model that it would be sent to.
    #[serde(default)]
    pub model: String,
}

/// A version of a prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u64,
    /// Its digest.
    pub digest: Digest,
    /// What people have said of it, as `approved` or `deprecated`.
    #[serde(default)]
    pub labels: BTreeSet<String>,
}

impl Input for Promotion {
    const HOOK: Hook = Hook::Promotion;
    const BYTES_MAX: usize = promotion::BYTES_MAX;
    const TIME_MAX: Duration = promotion::TIME_MAX;
}

impl Input for RouteChoice {
    const HOOK: Hook = Hook::RouteChoice;
}

impl Input for Cost {
    const HOOK: Hook = Hook::Cost;

    /// JSON has no infinity: a policy would compare a budget with null, and find it smaller.
    fn fault(&self) -> Option<String> {
        let wrong = |value: f64| !value.is_finite() || value < 0.0;
        if let Some(cost) = self.estimated_cost.filter(|cost| wrong(*cost)) {
            return Some(format!("the estimated cost is {cost}, which is no amount"));
        }
        let budget = self.step_budget.filter(|budget| wrong(*budget))?;
        Some(format!("the step's budget is {budget}, which is no amount"))
    }
}

impl Input for PromptUse {
    const HOOK: Hook = Hook::PromptUse;
}

/// The JSON Schema of a hook's input, without references.
pub fn schema(hook: Hook) -> serde_json::Value {
    let settings = SchemaSettings::default().with(|settings| settings.inline_subschemas = true);
    let generator = settings.into_generator();
    let schema = match hook {
        Hook::RouteChoice => generator.into_root_schema_for::<RouteChoice>(),
        Hook::Cost => generator.into_root_schema_for::<Cost>(),
        Hook::PromptUse => generator.into_root_schema_for::<PromptUse>(),
        Hook::Promotion => generator.into_root_schema_for::<Promotion>(),
    };
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_cannot_be_said_differently() {
        let request = Request { tags: ["pii".to_owned()].into(), ..Request::default() };
        let candidate = Candidate { model: "a".to_owned(), ..Candidate::default() };
        let lied = RouteChoice {
            selected_model: "b".to_owned(),
            step_tags: ["c".to_owned()].into(),
            request,
            candidate,
        };
        let told = lied.completed();
        assert_eq!(told.selected_model, "a");
        assert_eq!(told.step_tags, ["c".to_owned(), "pii".to_owned()].into());
    }

    #[test]
    fn a_cost_that_is_no_number_is_a_fault() {
        let cost = |usd| Cost { estimated_cost: Some(usd), ..Cost::default() };
        assert!(cost(f64::NAN).fault().is_some() && cost(f64::INFINITY).fault().is_some());
        assert!(cost(-0.1).fault().is_some() && cost(0.0).fault().is_none());
        assert!(Cost { step_budget: Some(f64::NAN), ..cost(1.0) }.fault().is_some());
    }
}

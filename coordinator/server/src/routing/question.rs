//! What each hook is told of a call: the declared parts, made from what was asked.

use std::collections::BTreeSet;

use maestro_policies::input::{Candidate, Cost, Prompt, PromptUse, Request, RouteChoice};
use maestro_router::config::Deployment;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{Purpose, Registered, RouteRequest};
use maestro_schemas::verdict::Reason;

use super::judge::PromptDenied;

/// A call that policies are asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// The tenant.
    pub(super) project: &'a ProjectName,
    /// What is asked, without its text.
    pub(super) request: &'a RouteRequest,
    /// What the call is for.
    pub(super) purpose: &'a Purpose,
    /// What is known of its prompt.
    pub(super) registered: &'a Registered,
}

impl Question<'_> {
    /// May it go there?
    pub(super) fn route_choice(&self, deployment: &Deployment) -> RouteChoice {
        let request = Request {
            project: self.project.to_string(),
            step_tags: self.purpose.step_tags.clone(),
            tags: self.request.tags.iter().cloned().collect(),
            jurisdictions: self.request.jurisdictions.iter().cloned().collect(),
            residency: BTreeSet::new(),
        };
        RouteChoice::new(request, candidate(deployment))
    }

    /// May it cost so much?
    pub(super) fn cost(&self, deployment: &Deployment, estimate: Option<f64>) -> Cost {
        Cost {
            estimated_cost: estimate,
            step_budget: self.request.cap_microusd.map(|cap| cap as f64 / 1e6),
            project: self.project.to_string(),
            step: self.purpose.step.clone(),
            model: deployment.model.clone(),
        }
    }

    /// May its prompt be used with this model? Nothing where it has none.
    pub(super) fn prompt_use(&self, model: &str) -> Option<PromptUse> {
        let prompt = self.purpose.prompt.as_ref()?;
        let of_content = self.request.tags.iter().cloned();
        Some(PromptUse {
            prompt: Prompt {
                name: prompt.name.clone(),
                version: self.registered.version.into(),
                digest: prompt.digest,
                labels: self.registered.labels.clone(),
            },
            project: self.project.to_string(),
            step: self.purpose.step.clone(),
            step_tags: self.purpose.step_tags.iter().cloned().chain(of_content).collect(),
            model: model.to_owned(),
        })
    }

    /// The refusal of its prompt for these reasons.
    pub(super) fn denied(&self, reasons: BTreeSet<Reason>) -> Option<PromptDenied> {
        let (prompt, version) = (self.purpose.prompt.clone()?, self.registered.version);
        Some(PromptDenied { prompt, version, reasons: reasons.into_iter().collect() })
    }
}

fn candidate(deployment: &Deployment) -> Candidate {
    Candidate {
        model: deployment.model.clone(),
        deployment: deployment.id.clone(),
        provider: deployment.provider.clone(),
        jurisdiction: deployment.jurisdiction.clone(),
        region: None,
        zdr: deployment.zdr,
        local: deployment.self_hosted,
    }
}

//! Asks the policies whether a request may go to each deployment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use maestro_policies::input::{Candidate, Request, RouteChoice};
use maestro_policies::reload::{Policies, Session, Status};
use maestro_router::config::{Config, Deployment};
use maestro_router::decide::{Policy, Reason, Verdict};
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::RouteRequest;

/// The most evaluators that are kept for the next question.
const SESSIONS_MAX: usize = 16;

/// The policies, and evaluators that nobody uses just now.
pub struct Judge {
    policies: Policies,
    idle: Mutex<Vec<Session>>,
    told: Mutex<Vec<String>>,
}

impl Judge {
    /// Over the policies of a directory.
    pub fn new(policies: Policies) -> Self {
        let judge = Self { policies, idle: Mutex::default(), told: Mutex::default() };
        judge.tell(&judge.policies.status());
        judge
    }

    /// Reads what changed. What is wrong is told once, for as long as it is the same.
    pub fn poll(&self) {
        self.tell(&self.policies.poll());
    }

    fn tell(&self, status: &Status) {
        let faults: Vec<String> = status.faults.iter().map(ToString::to_string).collect();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != faults {
            for fault in &faults {
                tracing::warn!(event = "policies_at_fault", fault, "a bundle was not taken");
            }
            *told = faults;
        }
    }

    /// What the policies say of each deployment of a configuration.
    pub fn policy(&self, project: &ProjectName, config: &Config, request: &RouteRequest) -> Policy {
        let mut session = self.idle().pop().unwrap_or_else(|| self.policies.session());
        let asked = Request {
            project: project.to_string(),
            step_tags: BTreeSet::new(),
            tags: request.tags.iter().cloned().collect(),
            jurisdictions: request.jurisdictions.iter().cloned().collect(),
            residency: BTreeSet::new(),
        };
        let mut bundle = None;
        let mut verdicts = BTreeMap::new();
        for deployment in &config.deployments {
            let input = RouteChoice::new(asked.clone(), candidate(deployment));
            let verdict = session.verdict(project, &input);
            bundle = Some(verdict.bundle);
            let reasons = verdict.reasons.into_iter();
            let reasons = reasons.map(|one| Reason { rule: one.rule, message: one.message });
            let said = Verdict { allowed: verdict.allowed, reasons: reasons.collect() };
            verdicts.insert(deployment.id.clone(), said);
        }
        let mut idle = self.idle();
        if idle.len() < SESSIONS_MAX {
            idle.push(session);
        }
        Policy::Asked { bundle: bundle.unwrap_or_else(|| Digest::of(b"")), verdicts }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
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

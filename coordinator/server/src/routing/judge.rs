//! Asks the policies whether a request may go to each deployment: by what it is about, by what it is
//! likely to cost there, and with the prompt that it was made from.
//!
//! What must stay true: the place is always asked for. Of costs and prompts a package that denies nothing
//! is not asked where the router chooses, since estimates differ with every prompt and no answer about
//! them could be remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use maestro_policies::input::Promotion;
use maestro_policies::reload::{Policies, Session, Status};
use maestro_router::config::Config;
use maestro_router::decide::{Facts, Failure, Policy, Reason, Verdict, estimates};
use maestro_schemas::digest::Digest;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::{PromptRef, Purpose, Registered, RouteRequest};
use maestro_schemas::verdict::{self, Hook};

use super::Error;
use super::question::Question;

/// The most evaluators that are kept for the next question.
const SESSIONS_MAX: usize = 16;

/// The most reasons that are told of a prompt that may not be used.
const REASONS_MAX: usize = 8;

/// What is to be decided, and by which configuration.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The tenant.
    pub project: &'a ProjectName,
    /// The configuration.
    pub config: &'a Config,
    /// What is asked, without its text.
    pub request: &'a RouteRequest,
}

/// The policies forbid a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MAE-4013 {} may not be used: {}", named(.prompt, .version), told(.reasons))]
pub struct PromptDenied {
    /// The prompt.
    pub prompt: PromptRef,
    /// Its version; 0 where the registry does not know its text.
    pub version: u32,
    /// Why, by each rule.
    pub reasons: Vec<verdict::Reason>,
}

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

    /// Puts into the facts what the policies say of each deployment.
    ///
    /// # Errors
    /// Where the request cannot be, or where its prompt may be used with none of the models that it may
    /// go to.
    pub fn judge(&self, case: Case<'_>, facts: &mut Facts) -> Result<(), Error> {
        let costs = estimates(case.config, facts, case.request).map_err(Failure::Invalid)?;
        let (policy, denied) = self.with_session(|session| verdicts(session, case, facts, &costs));
        facts.policy = policy;
        denied.map_or(Ok(()), |denied| Err(Error::Prompt(denied)))
    }

    /// Whether a prompt may be used with the very model that a request names, where no router chooses.
    ///
    /// # Errors
    /// Where it may not.
    pub fn permit_prompt(
        &self,
        project: &ProjectName,
        request: &RouteRequest,
        purpose: &Purpose,
        registered: &Registered,
    ) -> Result<(), Error> {
        let question = Question { project, request, purpose, registered };
        let model = request.model.as_deref().unwrap_or_default();
        let Some(asked) = question.prompt_use(model) else { return Ok(()) };
        let verdict = self.with_session(|session| session.verdict(project, &asked));
        let denied = question.denied(verdict.reasons.into_iter().collect());
        denied
            .filter(|denied| !denied.reasons.is_empty())
            .map_or(Ok(()), |denied| Err(Error::Prompt(denied)))
    }

    /// Whether an artifact may go where it is to go.
    pub fn promotion(&self, project: &ProjectName, asked: &Promotion) -> verdict::Verdict {
        self.with_session(|session| session.leave(project, asked))
    }

    fn with_session<T>(&self, ask: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.idle().pop().unwrap_or_else(|| self.policies.session());
        let answer = ask(&mut session);
        let mut idle = self.idle();
        if idle.len() < SESSIONS_MAX {
            idle.push(session);
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the policies say of each deployment; and of the prompt, where every deployment that the request
/// may go to is denied for it.
fn verdicts(
    session: &mut Session,
    case: Case<'_>,
    facts: &Facts,
    costs: &BTreeMap<String, Option<f64>>,
) -> (Policy, Option<PromptDenied>) {
    let Case { project, config, request } = case;
    let purpose = facts.purpose.clone().unwrap_or_default();
    let registered = facts.registered.clone().unwrap_or_default();
    let question = Question { project, request, purpose: &purpose, registered: &registered };
    let asks_cost = session.may_deny(project, Hook::Cost);
    let asks_prompt = session.may_deny(project, Hook::PromptUse);
    let (mut bundle, mut verdicts) = (Digest::of(b""), BTreeMap::new());
    let (mut asked, mut denied, mut against) = (0, 0, BTreeSet::new());
    // Nobody asks about those that the request does not reach.
    let reached = config.deployments.iter().filter(|one| costs.contains_key(&one.id));
    for deployment in reached {
        let by_route = session.verdict(project, &question.route_choice(deployment));
        bundle = by_route.bundle;
        let mut reasons = by_route.reasons;
        let mut too_dear = false;
        if let Some(cost) = costs.get(&deployment.id) {
            if asks_cost {
                let by_cost = session.verdict(project, &question.cost(deployment, *cost)).reasons;
                too_dear = !by_cost.is_empty();
                reasons.extend(by_cost);
            }
            if let Some(input) = question.prompt_use(&deployment.model).filter(|_| asks_prompt) {
                let by_prompt = session.verdict(project, &input).reasons;
                asked += 1;
                denied += usize::from(!by_prompt.is_empty());
                against.extend(by_prompt.iter().cloned());
                reasons.extend(by_prompt);
            }
        }
        verdicts.insert(deployment.id.clone(), said(reasons, too_dear));
    }
    let refused = question.denied(against).filter(|_| asked > 0 && denied == asked);
    (Policy::Asked { bundle, verdicts }, refused)
}

fn said(reasons: Vec<verdict::Reason>, too_dear: bool) -> Verdict {
    let reason = |one: verdict::Reason| Reason { rule: one.rule, message: one.message };
    let allowed = reasons.is_empty();
    Verdict { allowed, reasons: reasons.into_iter().map(reason).collect(), too_dear }
}

fn named(prompt: &PromptRef, version: &u32) -> String {
    let PromptRef { name, digest } = prompt;
    match version {
        0 => format!("prompt {name} ({digest}), which the registry does not know,"),
        version => format!("version {version} of prompt {name} ({digest})"),
    }
}

fn told(reasons: &[verdict::Reason]) -> String {
    let told = reasons.iter().take(REASONS_MAX);
    let told = told.map(|reason| format!("{} ({})", reason.message, reason.rule));
    told.collect::<Vec<_>>().join("; ")
}

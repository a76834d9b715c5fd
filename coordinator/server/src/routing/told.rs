//! What is logged, counted and traced of decisions, of calls and of breakers.
//!
//! What must stay true: no text of a prompt is told, and labels have few values: what policies' authors
//! name is counted as `policy`.

use std::time::{Duration, Instant};

use maestro_router::breaker::Standing;
use maestro_router::decide::{Failure, rule};
use maestro_schemas::call::{CallClass, CallOutcome};
use maestro_schemas::route::{Cause, RouteDecision};
use maestro_telemetry::event::{CallEnded, RouteDecided, RouteRefused};
use maestro_telemetry::metrics::Metrics;
use maestro_telemetry::metrics::router::OfEndpoint;
use tracing::Span;
use tracing::field::Empty;

use super::{Asking, Error, Shared};
use crate::clock::now_ms;

/// Rules that are counted by their name.
const RULES: [&str; 11] = [
    rule::POLICY_MISSING,
    rule::CONTENT_TAGS,
    rule::JURISDICTION,
    rule::TRIED,
    rule::OPEN,
    rule::THROTTLED,
    rule::CONCURRENCY,
    rule::CONTEXT,
    rule::COST,
    rule::DOWNGRADE,
    rule::LATENCY,
];

/// A decision that is being made.
pub(super) struct Telling {
    pub(super) span: Span,
    begun: Instant,
    model: Option<String>,
}

impl Telling {
    pub(super) fn begin(asking: &Asking) -> Self {
        let span = tracing::info_span!(
            "maestro.route.choose",
            maestro.project = asking.project.as_str(),
            gen_ai.request.model = Empty,
            gen_ai.response.model = Empty,
            gen_ai.provider.name = Empty,
            maestro.route.decision = Empty,
            maestro.route.mode = Empty,
            maestro.route.cause = Empty,
            maestro.route.excluded = Empty,
        );
        // Nobody has looked at the name before the decision has.
        Self { span, begun: Instant::now(), model: asking.request.model.clone() }
    }

    pub(super) fn end(self, decided: &Result<RouteDecision, Error>, metrics: &Metrics) {
        let took = self.begun.elapsed();
        match decided {
            Ok(decision) => self.decided(decision, took, metrics),
            Err(error) => self.span.in_scope(|| {
                RouteRefused { code: code(error), took }.tell(metrics);
                excluded(error).for_each(|rule| metrics.router.excluded(rule));
            }),
        }
    }

    fn decided(&self, decision: &RouteDecision, took: Duration, metrics: &Metrics) {
        let choice = &decision.choice;
        let (mode, cause) = (choice.mode.as_str(), cause(choice.rationale.cause));
        let excluded = choice.rationale.excluded.len();
        if let Some(model) = &self.model {
            self.span.record("gen_ai.request.model", model.as_str());
        }
        self.span.record("gen_ai.response.model", choice.model.as_str());
        self.span.record("gen_ai.provider.name", choice.provider.as_str());
        self.span.record("maestro.route.decision", decision.decision_id.to_string());
        self.span.record("maestro.route.mode", mode);
        self.span.record("maestro.route.cause", cause);
        self.span.record("maestro.route.excluded", excluded);
        self.span.in_scope(|| RouteDecided { mode, cause, excluded, took }.tell(metrics));
        for one in &choice.rationale.excluded {
            metrics.router.excluded(counted(&one.rule));
        }
    }
}

/// Tells that a call ended.
pub(super) fn call_ended(outcome: &CallOutcome, metrics: &Metrics) {
    let took = Duration::from_millis(outcome.latency_ms);
    let tokens = (outcome.input_tokens.unwrap_or(0), outcome.output_tokens.unwrap_or(0));
    let (class, is_fallback) = (class(outcome.class), outcome.fallback);
    let cost_microusd = outcome.cost_microusd.unwrap_or(0);
    CallEnded { class, took, tokens, cost_microusd, is_fallback }.tell(metrics);
}

impl Shared {
    /// Says how each breaker stands.
    pub(super) fn tell_breakers(&self) {
        let Ok(held) = self.source.held() else { return };
        let now_ms = now_ms();
        let live = self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for deployment in &held.config.deployments {
            let standing = match live.breaker(&deployment.endpoint).standing(now_ms) {
                Standing::Closed => 0,
                Standing::ProbeDue => 1,
                Standing::Throttled(_) => 2,
                Standing::Open(_) => 3,
            };
            let endpoint = deployment.endpoint.clone();
            self.metrics.router.breakers.get_or_create(&OfEndpoint { endpoint }).set(standing);
        }
    }
}

/// A rule's name as a label.
fn counted(rule: &str) -> &'static str {
    RULES.into_iter().find(|known| *known == rule).unwrap_or("policy")
}

fn excluded(error: &Error) -> impl Iterator<Item = &'static str> {
    let excluded = match error {
        Error::Failed(Failure::Refused(refusal)) => refusal.excluded.as_slice(),
        _ => &[],
    };
    excluded.iter().map(|one| counted(&one.rule))
}

const fn code(error: &Error) -> &'static str {
    match error {
        Error::Unconfigured => "unconfigured",
        Error::Unusable => "unusable",
        Error::Prompt(_) => "prompt",
        Error::Failed(Failure::Invalid(_)) => "invalid",
        Error::Failed(Failure::Refused(refusal)) if refusal.status == 403 => "forbidden",
        Error::Failed(Failure::Refused(_)) => "not_now",
    }
}

const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Score => "score",
        Cause::Only => "only",
        Cause::Fixed => "fixed",
        Cause::Forbidden => "forbidden",
        Cause::Probe => "probe",
    }
}

const fn class(class: CallClass) -> &'static str {
    match class {
        CallClass::Ok => "ok",
        CallClass::Connection => "connection",
        CallClass::Timeout => "timeout",
        CallClass::Server => "server",
        CallClass::Throttled => "throttled",
        CallClass::Cut => "cut",
        CallClass::Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authors_of_policies_name_is_one_label() {
        assert_eq!(counted("data.maestro.acme.deny"), "policy");
        assert_eq!(counted("maestro.tried"), "maestro.tried");
    }
}

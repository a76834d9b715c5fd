//! The router's metrics. Every process that serves the API hears of all calls, so those of calls are
//! read from one of them and not summed up; those of decisions are each process' own.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::{Registry, Unit};

use super::{ByResult, Seconds};

/// What kind of decision it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Decision {
    /// `shadow`, `advise` or `act`.
    pub mode: &'static str,
    /// `score`, `only`, `fixed`, `forbidden` or `probe`.
    pub cause: &'static str,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRule {
    /// One of the router's own, or `policy`.
    pub rule: &'static str,
}

/// A direction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByDirection {
    /// `input` or `output`.
    pub direction: &'static str,
}

/// An endpoint of the router's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfEndpoint {
    /// A provider's name or a server's address.
    pub endpoint: String,
}

/// What is counted of the router and of the calls that it hears of.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    /// Decisions.
    pub decisions: Family<Decision, Counter>,
    /// Questions without a decision, by why: `unconfigured`, `prompt`, `invalid`, `forbidden`, `not_now`.
    pub refusals: Family<ByResult, Counter>,
    /// Deployments that were excluded from a decision.
    pub exclusions: Family<ByRule, Counter>,
    /// From a question to its answer.
    pub choose_seconds: Seconds,
    /// How each breaker stands: 0 closed, 1 a probe is due, 2 asked too often, 3 open.
    pub breakers: Family<OfEndpoint, Gauge>,
    /// Calls of models, by how they ended.
    pub calls: Family<ByResult, Counter>,
    /// How long they took.
    pub call_seconds: Seconds,
    /// Their tokens.
    pub call_tokens: Family<ByDirection, Counter>,
    /// What gateways say that they cost, in US dollars.
    pub call_cost_usd: Counter<f64, AtomicU64>,
    /// Calls that stood in for one that had failed: `succeeded`, `failed`.
    pub fallbacks: Family<ByResult, Counter>,
}

impl Default for RouterMetrics {
    fn default() -> Self {
        Self {
            decisions: Family::default(),
            refusals: Family::default(),
            exclusions: Family::default(),
            // From 10 µs to about 5 s.
            choose_seconds: Seconds::new(exponential_buckets(0.000_01, 2.0, 20)),
            breakers: Family::default(),
            calls: Family::default(),
            // From 10 ms to about 11 min.
            call_seconds: Seconds::new(exponential_buckets(0.01, 2.0, 17)),
            call_tokens: Family::default(),
            call_cost_usd: Counter::default(),
            fallbacks: Family::default(),
        }
    }
}

impl RouterMetrics {
    /// Notes a decision.
    pub(crate) fn decided(&self, mode: &'static str, cause: &'static str, took: Duration) {
        self.decisions.get_or_create(&Decision { mode, cause }).inc();
        self.choose_seconds.observe(took.as_secs_f64());
    }

    /// Notes that a rule excluded a deployment.
    pub fn excluded(&self, rule: &'static str) {
        self.exclusions.get_or_create(&ByRule { rule }).inc();
    }

    pub(crate) fn tokens(&self, direction: &'static str, tokens: u64) {
        self.call_tokens.get_or_create(&ByDirection { direction }).inc_by(tokens);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let of = [
            ("route_choose", "From a question to the router to its answer", &self.choose_seconds),
            ("model_call", "A call of a model that was heard of", &self.call_seconds),
        ];
        for (name, help, metric) in of {
            registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
        }
        registry.register("route_decisions", "Decisions of the router", self.decisions.clone());
        registry.register("route_refusals", "Questions without one", self.refusals.clone());
        registry.register("route_excluded", "Deployments excluded", self.exclusions.clone());
        registry.register(
            "route_breaker",
            "0 closed, 1 a probe is due, 2 asked too often, 3 open",
            self.breakers.clone(),
        );
        registry.register(
            "route_fallbacks",
            "Calls that stood in for one that had failed",
            self.fallbacks.clone(),
        );
        registry.register("model_calls", "Calls that were heard of", self.calls.clone());
        registry.register("model_tokens", "Their tokens", self.call_tokens.clone());
        registry.register(
            "model_cost_usd",
            "What gateways say that they cost, in US dollars",
            self.call_cost_usd.clone(),
        );
    }
}

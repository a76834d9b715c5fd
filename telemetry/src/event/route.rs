//! What the router decided, and what became of calls of models.

use std::time::Duration;

use crate::metrics::Metrics;

/// The router chose a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteDecided {
    /// What the project lets the router do.
    pub mode: &'static str,
    /// What brought it about.
    pub cause: &'static str,
    /// How many deployments were excluded.
    pub excluded: usize,
    /// From the question to the choice.
    pub took: Duration,
}

impl RouteDecided {
    /// Logs and counts it. There are thousands a second, so the log has them from `debug` on.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { mode, cause, excluded, took } = *self;
        tracing::debug!(
            event = "route_decided",
            mode,
            cause,
            excluded,
            ?took,
            "a model was chosen"
        );
        metrics.router.decided(mode, cause, took);
    }
}

/// The router chose nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRefused {
    /// Why, in a word.
    pub code: &'static str,
    /// From the question to the refusal.
    pub took: Duration,
}

impl RouteRefused {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { code, took } = *self;
        tracing::debug!(event = "route_refused", code, ?took, "no model was chosen");
        Metrics::count(&metrics.router.refusals, code, 1);
        metrics.router.choose_seconds.observe(took.as_secs_f64());
    }
}

/// A call of a model ended, as a worker or a gateway told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallEnded {
    /// How.
    pub class: &'static str,
    /// From its start to its end.
    pub took: Duration,
    /// Tokens in and out, as far as they were told.
    pub tokens: (u64, u64),
    /// What it cost by the gateway's own word, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Whether it stood in for a call that had failed.
    pub is_fallback: bool,
}

impl CallEnded {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { class, took, tokens: (input, output), cost_microusd, is_fallback } = *self;
        tracing::debug!(
            event = "call_ended",
            class,
            ?took,
            input,
            output,
            cost_microusd,
            is_fallback,
            "a call of a model ended"
        );
        let router = &metrics.router;
        Metrics::count(&router.calls, class, 1);
        router.call_seconds.observe(took.as_secs_f64());
        router.tokens("input", input);
        router.tokens("output", output);
        router.call_cost_usd.inc_by(cost_microusd as f64 / 1e6);
        if is_fallback {
            let result = if class == "ok" { "succeeded" } else { "failed" };
            Metrics::count(&router.fallbacks, result, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_and_calls_are_counted_by_few_words() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        RouteDecided { mode: "act", cause: "score", excluded: 1, took }.tell(&metrics);
        RouteRefused { code: "forbidden", took }.tell(&metrics);
        metrics.router.excluded("maestro.tried");
        let ended = CallEnded {
            class: "ok",
            took,
            tokens: (8, 4),
            cost_microusd: 1_500_000,
            is_fallback: true,
        };
        ended.tell(&metrics);
        let text = metrics.text();
        for line in [
            "maestro_route_decisions_total{mode=\"act\",cause=\"score\"} 1",
            "maestro_route_refusals_total{result=\"forbidden\"} 1",
            "maestro_route_excluded_total{rule=\"maestro.tried\"} 1",
            "maestro_route_choose_seconds_count 2",
            "maestro_model_calls_total{result=\"ok\"} 1",
            "maestro_model_call_seconds_count 1",
            "maestro_model_tokens_total{direction=\"input\"} 8",
            "maestro_model_cost_usd_total 1.5",
            "maestro_route_fallbacks_total{result=\"succeeded\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

//! What is known of the whole fleet at this moment: statistics, breakers and calls under way.
//!
//! The shell owns one, hands it every [`CallOutcome`], and takes from it the [`Candidate`] facts that
//! a decision is made from. It keeps nothing about what the configuration does not name.

use std::collections::BTreeMap;

use maestro_schemas::call::CallOutcome;
use maestro_schemas::id::DecisionId;

use crate::breaker::{Breaker, Event, Permit};
use crate::config::Config;
use crate::decide::Candidate;
use crate::statistics::{Seen, Statistics};
use crate::underway::Underway;

/// The fleet as it is known.
#[derive(Debug, Clone, Default)]
pub struct Live {
    statistics: BTreeMap<String, Statistics>,
    breakers: BTreeMap<String, Breaker>,
    underway: Underway,
}

impl Live {
    /// Learns what became of a call. Answers whether it could: an outcome that cannot be, or one of a
    /// deployment that is not configured, is passed over.
    pub fn learn(&mut self, config: &Config, outcome: &CallOutcome) -> bool {
        let Some(deployment) = config.deployment(&outcome.deployment).filter(|_| outcome.is_sane())
        else {
            return false;
        };
        if let Some(decision) = outcome.decision_id {
            self.underway.end(decision);
        }
        self.statistics.entry(deployment.id.clone()).or_default().learn(outcome);
        let event = Event::Ended {
            class: outcome.class,
            started_ms: outcome.started_ms(),
            retry_after_ms: outcome.retry_after_ms,
        };
        let breaker = self.breakers.entry(deployment.endpoint.clone()).or_default();
        breaker.step(event, outcome.at_ms, &config.breaker);
        true
    }

    /// Learns how good an answer was, 0 to 1, from an evaluation. Answers whether it could.
    pub fn score(&mut self, config: &Config, id: &str, topic: Option<&str>, score: f64) -> bool {
        let known = config.deployment(id).is_some() && (0.0..=1.0).contains(&score);
        if known {
            self.statistics.entry(id.to_owned()).or_default().score(topic, score);
        }
        known
    }

    /// Asks whether a call to an endpoint may be made now, and takes the probe where one is due.
    pub fn ask(&mut self, config: &Config, endpoint: &str, now_ms: u64) -> Permit {
        let breaker = self.breakers.entry(endpoint.to_owned()).or_default();
        breaker.step(Event::Asked, now_ms, &config.breaker)
    }

    /// Somebody else has taken the probe of an endpoint: the next one is due then.
    pub fn defer(&mut self, endpoint: &str, due_ms: u64) {
        if let Some(breaker) = self.breakers.get_mut(endpoint) {
            breaker.defer(due_ms);
        }
    }

    /// A call that follows a decision is about to be made to a deployment, where that is configured.
    pub fn begin(&mut self, config: &Config, (decision, id): (DecisionId, &str), now_ms: u64) {
        if config.deployment(id).is_some() {
            self.underway.begin(decision, id, now_ms);
        }
    }

    /// A call that was to follow a decision has ended, or was not made.
    pub fn end(&mut self, decision: DecisionId) {
        self.underway.end(decision);
    }

    /// The breaker of an endpoint.
    pub fn breaker(&self, endpoint: &str) -> Breaker {
        self.breakers.get(endpoint).copied().unwrap_or_default()
    }

    /// Forgets what a new configuration does not name.
    pub fn retain(&mut self, config: &Config) {
        self.statistics.retain(|id, _| config.deployment(id).is_some());
        self.underway.retain(|id| config.deployment(id).is_some());
        self.breakers.retain(|endpoint, _| {
            config.deployments.iter().any(|deployment| deployment.endpoint == *endpoint)
        });
    }

    /// What a decision is made from: each deployment as it stands.
    pub fn candidates(
        &mut self,
        config: &Config,
        now_ms: u64,
        topic: Option<&str>,
    ) -> BTreeMap<String, Candidate> {
        self.underway.expire(now_ms);
        let nothing = Statistics::default();
        let of = |deployment: &crate::config::Deployment| {
            let statistics = self.statistics.get(&deployment.id).unwrap_or(&nothing);
            let named = topic.and_then(|topic| deployment.quality.get(topic)).copied();
            let believed = (named, deployment.quality_of(None));
            Candidate {
                standing: self.breaker(&deployment.endpoint).standing(now_ms),
                in_flight: self.underway.of(&deployment.id),
                observed: statistics.observed(now_ms, topic, believed),
            }
        };
        config.deployments.iter().map(|one| (one.id.clone(), of(one))).collect()
    }

    /// Quantiles of what was seen of each deployment lately.
    pub fn seen(&self) -> BTreeMap<&str, Seen> {
        self.statistics.iter().map(|(id, statistics)| (id.as_str(), statistics.seen())).collect()
    }
}

#[cfg(test)]
mod tests {
    use maestro_schemas::call::CallClass;

    use super::*;
    use crate::breaker::Standing;

    fn config() -> Config {
        let text = "model_list:\n\
                    - {model_name: a, litellm_params: {model: openai/a}, model_info: {id: a1}}\n\
                    - {model_name: b, litellm_params: {model: openai/b}, model_info: {id: b1}}\n\
                    - {model_name: c, litellm_params: {model: other/c}, model_info: {id: c1}}\n";
        Config::read(text, "r.yaml").unwrap()
    }

    fn outcome(id: &str, class: CallClass) -> CallOutcome {
        serde_json::from_value(serde_json::json!({
            "deployment": id, "class": class, "at_ms": 10_000, "latency_ms": 100,
        }))
        .unwrap()
    }

    #[test]
    fn a_provider_that_fails_stands_open_for_all_its_deployments() {
        let (config, mut live) = (config(), Live::default());
        (0..3).for_each(|_| assert!(live.learn(&config, &outcome("a1", CallClass::Connection))));
        let found = live.candidates(&config, 10_000, None);
        let standing = |id: &str| found.get(id).unwrap().standing;
        assert_eq!(standing("a1"), Standing::Open(15_000));
        assert_eq!(standing("b1"), Standing::Open(15_000));
        assert_eq!(standing("c1"), Standing::Closed);
        let endpoint = config.deployment("b1").unwrap().endpoint.clone();
        assert_eq!(live.ask(&config, &endpoint, 15_000), Permit::Probe);
        assert_eq!(live.ask(&config, &endpoint, 15_000), Permit::Wait(20_000));
        live.defer(&endpoint, 15_200);
        assert_eq!(live.ask(&config, &endpoint, 15_200), Permit::Probe);
    }

    #[test]
    fn a_call_is_under_way_until_its_outcome_is_told() {
        let (config, mut live, decision) = (config(), Live::default(), DecisionId::generate());
        live.begin(&config, (decision, "a1"), 9_000);
        live.begin(&config, (DecisionId::generate(), "z9"), 9_000);
        let calls = |live: &mut Live| live.candidates(&config, 10_000, None)["a1"].in_flight;
        assert_eq!(calls(&mut live), 1);
        let ended = CallOutcome { decision_id: Some(decision), ..outcome("a1", CallClass::Ok) };
        live.learn(&config, &ended);
        assert_eq!(calls(&mut live), 0);
    }

    #[test]
    fn nothing_is_kept_about_what_is_not_configured() {
        let (config, mut live) = (config(), Live::default());
        assert!(!live.learn(&config, &outcome("z9", CallClass::Ok)));
        assert!(!live.score(&config, "z9", None, 0.5) && !live.score(&config, "a1", None, 1.5));
        assert!(live.learn(&config, &outcome("a1", CallClass::Ok)));
        let text = "model_list: [{model_name: d, litellm_params: {model: x/d}}]\n";
        live.retain(&Config::read(text, "r.yaml").unwrap());
        assert!(live.statistics.is_empty() && live.breakers.is_empty());
    }
}

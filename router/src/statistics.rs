//! What is known of one deployment from its calls: how fast, how sure, how long, how good.
//!
//! Everything is bounded: sketches and rings have a fixed size, and topics are counted up to
//! [`TOPICS_MAX`].

use std::collections::BTreeMap;

use maestro_schemas::call::{CallClass, CallOutcome};
use maestro_schemas::route::Interval;
use serde::{Deserialize, Serialize};

use crate::forecast::Forecast;
use crate::round::rounded;
use crate::sketch::Sketch;

/// After this a call counts half for the share of failures, in milliseconds.
pub const SUCCESS_HALF_LIFE_MS: u64 = 30_000;
/// After this a call counts half for latencies and lengths, in milliseconds.
pub const HALF_LIFE_MS: u64 = 5 * 60_000;
/// The most topics of a deployment whose scores are kept apart; others count for all topics only.
pub const TOPICS_MAX: usize = 512;

/// Before any call, so many of a hundred are taken to succeed, as if so many had been seen.
pub const SUCCESS_PRIOR: f64 = 0.95;
const SUCCESS_PRIOR_CALLS: f64 = 4.0;
/// The quality of answers of which nothing is known.
pub const QUALITY_PRIOR: f64 = 0.7;
/// A deployment's mean score is drawn to what was configured as if so many scores had shown that.
const QUALITY_PRIOR_SCORES: f64 = 10.0;
/// A topic's mean score is drawn to the deployment's as if so many scores had shown that.
const TOPIC_PRIOR_SCORES: f64 = 20.0;
/// Beyond so many scores the old ones count half.
const SCORES_MAX: f64 = 4_000.0;

/// What is known of a deployment.
#[derive(Debug, Clone)]
pub struct Statistics {
    forecast: Forecast,
    latency: Sketch,
    ttft: Sketch,
    output: Sketch,
    success: Success,
    scores: Scores,
    topics: BTreeMap<String, Scores>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            forecast: Forecast::default(),
            latency: Sketch::new(HALF_LIFE_MS),
            ttft: Sketch::new(HALF_LIFE_MS),
            output: Sketch::new(HALF_LIFE_MS),
            success: Success::default(),
            scores: Scores::default(),
            topics: BTreeMap::new(),
        }
    }
}

/// What a decision reckons with for a deployment, as numbers that survive JSON.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What 95 of 100 answers are faster than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<Interval>,
    /// The share of calls that do not fail.
    pub p_success: f64,
    /// The share of answers that are good.
    pub p_quality: f64,
    /// The mean length of an answer, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_mean: Option<f64>,
    /// What 95 of 100 answers are shorter than, in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_p95: Option<f64>,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            p95_ms: None,
            p_success: SUCCESS_PRIOR,
            p_quality: QUALITY_PRIOR,
            output_tokens_mean: None,
            output_tokens_p95: None,
        }
    }
}

/// Quantiles of what was seen lately, for people; a decision uses the forecast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seen {
    /// Half of the answers were faster, in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// 95 of 100 answers were faster, in milliseconds.
    pub latency_p95_ms: Option<f64>,
    /// Half of the first tokens came sooner, in milliseconds.
    pub ttft_p50_ms: Option<f64>,
    /// 95 of 100 first tokens came sooner, in milliseconds.
    pub ttft_p95_ms: Option<f64>,
}

impl Statistics {
    /// Learns from a call.
    pub fn learn(&mut self, outcome: &CallOutcome) {
        if outcome.class != CallClass::Refused {
            self.success.add(outcome.class == CallClass::Ok, outcome.at_ms);
        }
        if outcome.class == CallClass::Ok {
            let latency = outcome.latency_ms as f64;
            self.forecast.learn(latency);
            self.latency.add(latency, outcome.at_ms);
            if let Some(ttft) = outcome.ttft_ms {
                self.ttft.add(ttft as f64, outcome.at_ms);
            }
            if let Some(tokens) = outcome.output_tokens {
                self.output.add(tokens as f64, outcome.at_ms);
            }
        }
        if let Some(score) = outcome.score {
            self.score(outcome.topic.as_deref(), score);
        }
    }

    /// Learns how good an answer was, 0 to 1.
    pub fn score(&mut self, topic: Option<&str>, score: f64) {
        self.scores.add(score);
        let Some(topic) = topic else { return };
        if let Some(scores) = self.topics.get_mut(topic) {
            scores.add(score);
        } else if self.topics.len() < TOPICS_MAX {
            let mut scores = Scores::default();
            scores.add(score);
            self.topics.insert(topic.to_owned(), scores);
        }
    }

    /// What a decision reckons with. `believed` is what the configuration says of the quality: of
    /// this topic, and of any.
    pub fn observed(
        &self,
        now_ms: u64,
        topic: Option<&str>,
        believed: (Option<f64>, Option<f64>),
    ) -> Observed {
        let any = self.scores.drawn(believed.1.unwrap_or(QUALITY_PRIOR), QUALITY_PRIOR_SCORES);
        let seen = topic.and_then(|topic| self.topics.get(topic)).copied().unwrap_or_default();
        let quality = seen.drawn(believed.0.unwrap_or(any), TOPIC_PRIOR_SCORES);
        Observed {
            p95_ms: self.forecast.p95_ms(),
            p_success: rounded(self.success.share(now_ms), 6),
            p_quality: rounded(quality, 6),
            output_tokens_mean: self.output.mean().map(|tokens| rounded(tokens, 3)),
            output_tokens_p95: self.output.quantile(0.95).map(|tokens| rounded(tokens, 3)),
        }
    }

    /// Quantiles of what was seen lately.
    pub fn seen(&self) -> Seen {
        Seen {
            latency_p50_ms: self.latency.quantile(0.5),
            latency_p95_ms: self.latency.quantile(0.95),
            ttft_p50_ms: self.ttft.quantile(0.5),
            ttft_p95_ms: self.ttft.quantile(0.95),
        }
    }
}

/// Calls and those of them that succeeded, the older counting for less.
#[derive(Debug, Clone, Copy, Default)]
struct Success {
    calls: f64,
    good: f64,
    at_ms: u64,
}

impl Success {
    fn left(&self, now_ms: u64) -> f64 {
        (-(now_ms.saturating_sub(self.at_ms) as f64) / SUCCESS_HALF_LIFE_MS as f64).exp2()
    }

    fn add(&mut self, good: bool, at_ms: u64) {
        let left = self.left(at_ms);
        self.calls = self.calls * left + 1.0;
        self.good = self.good * left + f64::from(u8::from(good));
        self.at_ms = self.at_ms.max(at_ms);
    }

    /// The mean of a beta distribution, which begins at the prior and goes back to it.
    fn share(&self, now_ms: u64) -> f64 {
        let left = self.left(now_ms);
        (self.good * left + SUCCESS_PRIOR * SUCCESS_PRIOR_CALLS)
            / (self.calls * left + SUCCESS_PRIOR_CALLS)
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Scores {
    count: f64,
    sum: f64,
}

impl Scores {
    fn add(&mut self, score: f64) {
        if self.count >= SCORES_MAX {
            (self.count, self.sum) = (self.count / 2.0, self.sum / 2.0);
        }
        self.count += 1.0;
        self.sum += score.clamp(0.0, 1.0);
    }

    /// The mean, drawn to `prior` as if so many scores had shown it.
    fn drawn(&self, prior: f64, scores: f64) -> f64 {
        (self.sum + prior * scores) / (self.count + scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(class: CallClass, at_ms: u64) -> CallOutcome {
        CallOutcome {
            deployment: "d".to_owned(),
            decision_id: None,
            class,
            at_ms,
            latency_ms: 200,
            ttft_ms: Some(50),
            retry_after_ms: None,
            input_tokens: Some(10),
            output_tokens: Some(100),
            cost_microusd: None,
            topic: Some("law".to_owned()),
            score: None,
            fallback: false,
        }
    }

    fn observed(statistics: &Statistics, now_ms: u64) -> Observed {
        statistics.observed(now_ms, Some("law"), (None, None))
    }

    #[test]
    fn failures_show_at_once_and_are_forgotten_after_a_while() {
        let mut statistics = Statistics::default();
        (0..20).for_each(|_| statistics.learn(&call(CallClass::Server, 1_000)));
        assert!(observed(&statistics, 1_000).p_success < 0.2);
        assert!(observed(&statistics, 1_000 + 20 * SUCCESS_HALF_LIFE_MS).p_success > 0.94);
        assert_eq!(observed(&statistics, 1_000).p95_ms, None, "no answer came");
    }

    #[test]
    fn a_refused_request_says_nothing_about_the_deployment() {
        let mut statistics = Statistics::default();
        (0..50).for_each(|_| statistics.learn(&call(CallClass::Refused, 1_000)));
        assert_eq!(observed(&statistics, 1_000), Observed::default());
    }

    #[test]
    fn answers_show_their_latency_and_length() {
        let mut statistics = Statistics::default();
        (0..200).for_each(|index| statistics.learn(&call(CallClass::Ok, index)));
        let found = observed(&statistics, 200);
        assert!((200.0..230.0).contains(&found.p95_ms.unwrap().value), "{found:?}");
        assert!((99.0..101.0).contains(&found.output_tokens_mean.unwrap()));
        assert!((100.0..105.0).contains(&found.output_tokens_p95.unwrap()));
        let seen = statistics.seen();
        assert!((200.0..210.0).contains(&seen.latency_p95_ms.unwrap()));
        assert!((50.0..53.0).contains(&seen.ttft_p50_ms.unwrap()));
    }

    #[test]
    fn a_topics_quality_is_drawn_to_the_deployments_and_that_to_what_was_configured() {
        let mut statistics = Statistics::default();
        let quality = |statistics: &Statistics, topic| {
            statistics.observed(0, Some(topic), (None, Some(0.9))).p_quality
        };
        assert_eq!(quality(&statistics, "law"), 0.9);
        (0..10).for_each(|_| statistics.score(Some("law"), 0.0));
        let (law, other) = (quality(&statistics, "law"), quality(&statistics, "art"));
        assert!(law < other && other < 0.9, "{law} {other}");
        (0..1_000).for_each(|_| statistics.score(Some("law"), 1.0));
        assert!(quality(&statistics, "law") > 0.97);
    }

    #[test]
    fn topics_are_counted_up_to_a_limit() {
        let mut statistics = Statistics::default();
        (0..TOPICS_MAX + 100).for_each(|index| statistics.score(Some(&index.to_string()), 1.0));
        assert_eq!(statistics.topics.len(), TOPICS_MAX);
    }
}

//! Every metric: its name, its unit, its labels. A process makes one [`Metrics`], hands clones of
//! it around, and serves [`Metrics::text`] at `/metrics`.
//!
//! Labels hold pools, results and shards only, never ids: their number of values is bounded.

pub mod audit;
pub mod router;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use self::audit::AuditMetrics;
use self::router::RouterMetrics;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfPool {
    /// Its name.
    pub pool: String,
}

/// A pool and how an attempt in it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ending {
    /// Its name.
    pub pool: String,
    /// `succeeded`, `cancelled`, or the class of the failure.
    pub outcome: String,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    /// One of a few words.
    pub result: String,
}

/// What kind a thing is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByKind {
    /// One of a few words.
    pub kind: String,
}

/// A route of the API and the class of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// The route as it is written, with its placeholders.
    pub route: String,
    /// The HTTP status.
    pub status: u16,
}

/// Durations in seconds, from 0.1 ms to about 1.7 min.
type Seconds = Histogram;

fn seconds() -> Seconds {
    Histogram::new(exponential_buckets(0.0001, 2.0, 20))
}

fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 12))
}

/// The metrics of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// From the first message of a batch to the end of its commit.
    pub fold_seconds: Seconds,
    /// Messages in a batch.
    pub fold_messages: Histogram,
    /// A batch's commit.
    pub commit_seconds: Seconds,
    /// Commits by how they ended: `done`, `refused`, `unknown`.
    pub commits: Family<ByResult, Counter>,
    /// Shards that this process owns.
    pub shards_owned: Gauge,
    /// Runs that are held in memory.
    pub runs_held: Gauge,
    /// Ready steps that wait for room in their pool's window.
    pub steps_ready: Family<OfPool, Gauge>,
    /// Attempts that are queued or in a worker's hands.
    pub attempts_live: Family<OfPool, Gauge>,
    /// Attempts that ended.
    pub attempts_ended: Family<Ending, Counter>,
    /// From an attempt's decision to its end.
    pub step_attempt_seconds: Family<OfPool, Seconds, fn() -> Seconds>,
    /// Slots of a pool's live workers.
    pub pool_slots: Family<OfPool, Gauge>,
    /// Live workers of a pool.
    pub pool_workers: Family<OfPool, Gauge>,
    /// Task publishes by what became of them.
    pub publishes: Family<ByResult, Counter>,
    /// Messages that went to the dead letters.
    pub dead_letters: Counter,
    /// Attempts that were ensured by a take-over or the sweeper.
    pub ensures: Family<ByResult, Counter>,
    /// Collections of objects by how they ended: `done`, `failed`.
    pub collections: Family<ByResult, Counter>,
    /// Objects that were deleted because nobody named them.
    pub objects_collected: Counter,
    /// Bytes that this made free.
    pub bytes_collected: Counter,
    /// Rows that were deleted because they were old, by their kind: `decision`, `call`.
    pub rows_expired: Family<ByKind, Counter>,
    /// Times that this was done by how they ended: `done`, `failed`.
    pub expiries: Family<ByResult, Counter>,
    /// Errors that the bus reported, slow readers and lost connections.
    pub bus_troubles: Family<ByResult, Counter>,
    /// Requests to the API.
    pub api_requests: Family<Answer, Counter>,
    /// How long the API took to answer.
    pub api_seconds: Seconds,
    /// The audit log's own.
    pub audit: AuditMetrics,
    /// The router's own.
    pub router: RouterMetrics,
    /// Executions that a worker began.
    pub executions: Family<OfPool, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at their beginning.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            fold_seconds: seconds(),
            fold_messages: counts(),
            commit_seconds: seconds(),
            commits: Family::default(),
            shards_owned: Gauge::default(),
            runs_held: Gauge::default(),
            steps_ready: Family::default(),
            attempts_live: Family::default(),
            attempts_ended: Family::default(),
            step_attempt_seconds: Family::new_with_constructor(seconds),
            pool_slots: Family::default(),
            pool_workers: Family::default(),
            publishes: Family::default(),
            dead_letters: Counter::default(),
            ensures: Family::default(),
            collections: Family::default(),
            objects_collected: Counter::default(),
            bytes_collected: Counter::default(),
            rows_expired: Family::default(),
            expiries: Family::default(),
            bus_troubles: Family::default(),
            api_requests: Family::default(),
            api_seconds: seconds(),
            audit: AuditMetrics::default(),
            router: RouterMetrics::default(),
            executions: Family::default(),
        };
        let mut registry = Registry::with_prefix("maestro");
        metrics.register_durations(&mut registry);
        metrics.register_coordinator(&mut registry);
        metrics.register_collection(&mut registry);
        metrics.register_pools(&mut registry);
        metrics.register_edges(&mut registry);
        metrics.audit.register(&mut registry);
        metrics.router.register(&mut registry);
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// All of them in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }

    fn register_durations(&self, registry: &mut Registry) {
        let of = [
            ("fold", "A batch, from its first message to its commit", &self.fold_seconds),
            ("commit", "A batch's commit", &self.commit_seconds),
            ("api_request", "A request to the API", &self.api_seconds),
        ];
        for (name, help, metric) in of {
            registry.register_with_unit(name, help, Unit::Seconds, metric.clone());
        }
        registry.register_with_unit(
            "step_attempt",
            "An attempt, from its decision to its end",
            Unit::Seconds,
            self.step_attempt_seconds.clone(),
        );
        registry.register("fold_messages", "Messages in a batch", self.fold_messages.clone());
    }

    fn register_coordinator(&self, registry: &mut Registry) {
        registry.register("commits", "Commits by how they ended", self.commits.clone());
        registry.register(
            "shards_owned",
            "Shards that this process owns",
            self.shards_owned.clone(),
        );
        registry.register("runs_held", "Runs held in memory", self.runs_held.clone());
        registry.register(
            "dead_letters",
            "Messages that nobody could take",
            self.dead_letters.clone(),
        );
        registry.register(
            "task_publishes",
            "Task publishes by what became of them",
            self.publishes.clone(),
        );
        registry.register("ensures", "Attempts published again", self.ensures.clone());
    }

    fn register_collection(&self, registry: &mut Registry) {
        registry.register(
            "collections",
            "Collections of objects by how they ended",
            self.collections.clone(),
        );
        registry.register(
            "objects_collected",
            "Objects deleted because nobody named them",
            self.objects_collected.clone(),
        );
        registry.register_with_unit(
            "collected",
            "Bytes made free by that",
            Unit::Bytes,
            self.bytes_collected.clone(),
        );
        registry.register(
            "rows_expired",
            "Rows deleted because of their age",
            self.rows_expired.clone(),
        );
        registry.register(
            "expiries",
            "Deletions of old rows by how they ended",
            self.expiries.clone(),
        );
    }

    fn register_pools(&self, registry: &mut Registry) {
        registry.register(
            "steps_ready",
            "Ready steps that wait for their pool",
            self.steps_ready.clone(),
        );
        registry.register(
            "attempts_live",
            "Attempts queued or in hand",
            self.attempts_live.clone(),
        );
        registry.register("attempts_ended", "Attempts that ended", self.attempts_ended.clone());
        registry.register("pool_slots", "Slots of live workers", self.pool_slots.clone());
        registry.register("pool_workers", "Live workers", self.pool_workers.clone());
        registry.register("executions", "Executions that a worker began", self.executions.clone());
    }

    fn register_edges(&self, registry: &mut Registry) {
        registry.register("bus_troubles", "What the bus reported", self.bus_troubles.clone());
        registry.register("api_requests", "Requests to the API", self.api_requests.clone());
    }

    /// Notes an ended attempt.
    pub fn attempt_ended(&self, pool: &str, outcome: &str, took: Duration) {
        let (pool, outcome) = (pool.to_owned(), outcome.to_owned());
        self.step_attempt_seconds
            .get_or_create(&OfPool { pool: pool.clone() })
            .observe(took.as_secs_f64());
        self.attempts_ended.get_or_create(&Ending { pool, outcome }).inc();
    }

    /// Counts something by how it ended.
    pub fn count(of: &Family<ByResult, Counter>, result: &str, by: u64) {
        let result = result.to_owned();
        of.get_or_create(&ByResult { result }).inc_by(by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_stands_in_the_text_under_the_documented_name() {
        let metrics = Metrics::new();
        metrics.attempt_ended("build", "succeeded", Duration::from_millis(3));
        Metrics::count(&metrics.commits, "done", 2);
        metrics.clone().shards_owned.set(4);
        let text = metrics.text();
        for line in [
            "maestro_attempts_ended_total{pool=\"build\",outcome=\"succeeded\"} 1",
            "maestro_step_attempt_seconds_count{pool=\"build\"} 1",
            "maestro_commits_total{result=\"done\"} 2",
            "maestro_shards_owned 4",
            "# EOF",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

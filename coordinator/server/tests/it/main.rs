//! The store and the api against real servers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod api_access;
mod api_audit;
mod api_cost;
mod api_cost_policy;
mod api_events;
mod api_hostile;
mod api_keys;
mod api_logs;
mod api_made;
mod api_objects;
mod api_processes;
mod api_prompts;
mod api_routing;
mod api_runs;
mod api_scores;
mod api_steps;
mod api_tested;
mod auditor;
mod collector;
mod promotion;
mod retention;
mod secrets;
mod store_commit;
mod store_load;
mod store_probe;
mod store_records;
mod store_settlement;
mod store_shard;
mod support;

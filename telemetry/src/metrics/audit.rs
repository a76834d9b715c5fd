//! The audit log's metrics. One coordinator of a cluster audits, so they are summed up over all.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ByResult;

/// What is counted of the audit log.
#[derive(Debug, Clone, Default)]
pub struct AuditMetrics {
    /// Entries that this process logged.
    pub entries: Counter,
    /// Entries that the newest checkpoint of this process is over.
    pub size: Gauge,
    /// Turns by how they ended: `done`, `failed`.
    pub turns: Family<ByResult, Counter>,
}

impl AuditMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("audit_entries", "Entries of the audit log", self.entries.clone());
        registry.register("audit_signed_entries", "Entries that are signed", self.size.clone());
        registry.register(
            "audit_turns",
            "Turns of the auditor by how they ended",
            self.turns.clone(),
        );
    }
}

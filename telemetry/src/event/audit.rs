//! Entries of the audit log that got their place and were signed.

use crate::metrics::Metrics;

/// Entries were logged and signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditLogged {
    /// How many.
    pub entries: u64,
    /// How many entries are signed now.
    pub size: u64,
    /// Whether there is more: the next turn goes on.
    pub more: bool,
}

impl AuditLogged {
    /// Logs it, where there is anything to log, and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { entries, size, more } = *self;
        if entries > 0 {
            tracing::debug!(event = "audit_logged", entries, size, more, "the audit log grew");
        }
        metrics.audit.entries.inc_by(entries);
        metrics.audit.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        Metrics::count(&metrics.audit.turns, "done", 1);
    }
}

/// Nothing was signed; what was done waits in its rows.
#[derive(Debug, Clone, Copy)]
pub struct AuditFailed<'a>(pub &'a (dyn std::error::Error + 'static));

impl AuditFailed<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        tracing::error!(event = "audit_failed", error = self.0, "the audit log does not grow now");
        Metrics::count(&metrics.audit.turns, "failed", 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_the_audit_log_is_counted() {
        let metrics = Metrics::new();
        AuditLogged { entries: 3, size: 12, more: false }.tell(&metrics);
        AuditFailed(&std::fmt::Error).tell(&metrics);
        let text = metrics.text();
        for line in [
            "maestro_audit_entries_total 3",
            "maestro_audit_signed_entries 12",
            "maestro_audit_turns_total{result=\"failed\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

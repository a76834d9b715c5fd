//! Rows that were let go because they were old.

use crate::metrics::{ByKind, Metrics};

/// Rows that were older than they are kept were deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowsExpired {
    /// How many decisions of the router.
    pub decisions: u64,
    /// How many calls of models.
    pub calls: u64,
    /// Whether there may be more: the next time goes on.
    pub more: bool,
}

impl RowsExpired {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { decisions, calls, more } = *self;
        tracing::info!(event = "rows_expired", decisions, calls, more, "old rows were deleted");
        for (kind, rows) in [("decision", decisions), ("call", calls)] {
            let kind = kind.to_owned();
            metrics.rows_expired.get_or_create(&ByKind { kind }).inc_by(rows);
        }
        Metrics::count(&metrics.expiries, "done", 1);
    }
}

/// Old rows could not be deleted; the next time goes on.
#[derive(Debug, Clone, Copy)]
pub struct RetentionFailed<'a>(pub &'a (dyn std::error::Error + 'static));

impl RetentionFailed<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        tracing::warn!(event = "retention_failed", error = self.0, "old rows are not deleted now");
        Metrics::count(&metrics.expiries, "failed", 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_old_rows_is_counted() {
        let metrics = Metrics::new();
        RowsExpired { decisions: 3, calls: 2, more: false }.tell(&metrics);
        RetentionFailed(&std::fmt::Error).tell(&metrics);
        let text = metrics.text();
        for line in [
            "maestro_rows_expired_total{kind=\"decision\"} 3",
            "maestro_rows_expired_total{kind=\"call\"} 2",
            "maestro_expiries_total{result=\"failed\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

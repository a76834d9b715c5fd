//! Named events: what is logged and counted is one thing, and can be looked for by its name.

mod audit;
mod retention;
mod route;

pub use self::audit::{AuditFailed, AuditLogged};
pub use self::retention::{RetentionFailed, RowsExpired};
pub use self::route::{CallEnded, RouteDecided, RouteRefused};

use crate::metrics::Metrics;

/// Objects that nobody names any more were collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ObjectsCollected {
    /// How many objects rows name, with all that is in directories.
    pub named: u64,
    /// How many objects were deleted.
    pub objects: u64,
    /// How many bytes that made free.
    pub bytes: u64,
    /// How many notes of whose objects they were went.
    pub holds: u64,
    /// How many leftovers of interrupted writes were removed.
    pub unfinished: u64,
    /// How many remembered answers of models were forgotten.
    pub forgotten: u64,
    /// How many directories that rows name are missing or are none.
    pub unreadable: u64,
    /// Whether there is more to delete: the next collection goes on.
    pub more: bool,
}

impl ObjectsCollected {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        let Self { named, objects, bytes, holds, unfinished, forgotten, unreadable, more } = *self;
        tracing::info!(
            event = "objects_collected",
            named,
            objects,
            bytes,
            holds,
            unfinished,
            forgotten,
            unreadable,
            more,
            "objects that nobody names were collected"
        );
        Metrics::count(&metrics.collections, "done", 1);
        metrics.objects_collected.inc_by(objects);
        metrics.bytes_collected.inc_by(bytes);
    }
}

/// A collection broke off; it deleted nothing that is named, and the next begins anew.
#[derive(Debug, Clone, Copy)]
pub struct CollectionFailed<'a>(pub &'a (dyn std::error::Error + 'static));

impl CollectionFailed<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Metrics) {
        tracing::warn!(event = "collection_failed", error = self.0, "a collection broke off");
        Metrics::count(&metrics.collections, "failed", 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_collections_is_counted() {
        let metrics = Metrics::new();
        let collected = ObjectsCollected { objects: 3, bytes: 40, ..ObjectsCollected::default() };
        collected.tell(&metrics);
        CollectionFailed(&std::fmt::Error).tell(&metrics);
        let text = metrics.text();
        for line in [
            "maestro_collections_total{result=\"done\"} 1",
            "maestro_collections_total{result=\"failed\"} 1",
            "maestro_objects_collected_total 3",
            "maestro_collected_bytes_total 40",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

//! How many proofs are under way at once. Each may hold a run's records and an SBOM in memory, and takes a
//! thread that may block.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most proofs at once.
pub const PROOFS_MAX: usize = 4;

/// Where proofs wait for nothing: there is a place, or there is none. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Line(Arc<Semaphore>);

/// A place, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Default for Line {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PROOFS_MAX)))
    }
}

impl Line {
    /// A place, where one is free.
    pub fn place(&self) -> Option<Place> {
        let permit = self.0.clone().try_acquire_owned().ok()?;
        Some(Place { _permit: permit })
    }
}

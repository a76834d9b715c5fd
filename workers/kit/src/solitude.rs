//! A task that was delivered before runs alone, from the delivery on that its pool names: it may be one
//! that kills its worker, and should then kill no neighbour.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// What all executions of a process pass through.
#[derive(Clone, Default)]
pub(crate) struct Solitude(Arc<RwLock<()>>);

/// Held while an execution runs.
pub(crate) enum Company {
    Shared { _with: OwnedRwLockReadGuard<()> },
    Alone { _in: OwnedRwLockWriteGuard<()> },
}

impl Solitude {
    /// Waits until the execution may run: alone, when all others have ended; else when nobody runs
    /// alone or waits to. Fair, so that neither kind starves.
    pub(crate) async fn enter(&self, alone: bool) -> Company {
        let lock = Arc::clone(&self.0);
        if alone {
            Company::Alone { _in: lock.write_owned().await }
        } else {
            Company::Shared { _with: lock.read_owned().await }
        }
    }
}

//! The tasks of a pool, as a worker reads them: by priority, and no more than it has slots for.
//!
//! A worker with few slots asks for exactly what it can begin (`exact`); one with many may hold
//! some in advance (`prefetch`), which costs fewer questions and suits short tasks only.

use super::exact::Exact;
use super::prefetch::Prefetch;
use crate::connect::{Connection, Error};
use crate::delivery::Delivery;
use maestro_schemas::name::PoolName;

/// How a worker reads its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// No task is asked for without a free slot.
    Exact,
    /// Up to this many tasks of each priority are held in advance.
    Prefetch {
        /// At least 1.
        batch: u32,
    },
}

/// The tasks of a pool.
pub struct TaskQueue(Way);

enum Way {
    Exact(Box<Exact>),
    Prefetch(Box<Prefetch>),
}

impl TaskQueue {
    /// Reads `pool`; where nobody has made its stream yet, it is asked for again and again.
    pub async fn open(
        connection: &Connection,
        pool: &PoolName,
        reading: Reading,
    ) -> Result<Self, Error> {
        Ok(Self(match reading {
            Reading::Exact => Way::Exact(Box::new(Exact::open(connection, pool).await?)),
            Reading::Prefetch { batch } => {
                Way::Prefetch(Box::new(Prefetch::open(connection, pool, batch).await?))
            }
        }))
    }

    /// At least one task and at most `free` of them; waits until there is one. `None` when the
    /// connection is closed. Cancel-safe. `free` is at least 1.
    pub async fn next(&mut self, free: usize) -> Option<Vec<Delivery>> {
        match &mut self.0 {
            Way::Exact(exact) => exact.next(free.max(1)).await,
            Way::Prefetch(prefetch) => prefetch.next(free.max(1)).await,
        }
    }

    /// Keeps what is held in advance from being given to others. Called every second while
    /// [`Self::next`] is not.
    pub async fn renew_held(&mut self) {
        if let Way::Prefetch(prefetch) = &mut self.0 {
            prefetch.renew_held().await;
        }
    }

    /// Gives back what is held and was not begun, at once; takes no more.
    pub async fn close(self) {
        match self.0 {
            Way::Exact(exact) => exact.close().await,
            Way::Prefetch(prefetch) => prefetch.close().await,
        }
    }
}

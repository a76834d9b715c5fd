//! Tokens that were looked up a moment ago, so that not every request asks the database whose it is.
//!
//! What must stay true: only tokens that are known are remembered, by their hash, for [`AGE_MAX`]; a
//! revoked one is let in no longer than that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::admit::Caller;

/// For how long a token is remembered.
pub const AGE_MAX: Duration = Duration::from_secs(1);
/// The most that are.
const TOKENS_MAX: usize = 4_096;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    held: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
}

impl Tokens {
    /// Whose token it is, where that was looked up a moment ago.
    pub(super) fn find(&self, hash: [u8; 32]) -> Option<Caller> {
        let held = self.held();
        let (at, caller) = held.get(&hash)?;
        (at.elapsed() < AGE_MAX).then(|| caller.clone())
    }

    /// Remembers a token that was looked up at this time.
    pub(super) fn keep(&self, hash: [u8; 32], at: Instant, caller: Caller) {
        let mut held = self.held();
        if held.len() >= TOKENS_MAX {
            held.retain(|_, (at, _)| at.elapsed() < AGE_MAX);
        }
        if held.len() < TOKENS_MAX {
            held.insert(hash, (at, caller));
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Instant, Caller)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

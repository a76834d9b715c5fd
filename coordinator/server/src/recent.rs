//! What was looked up a moment ago, so that not everybody asks the database anew.
//!
//! What must stay true: what is remembered is bounded in number and in age, which counts from before it
//! was looked up.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is remembered is no older.
pub const AGE_MAX: Duration = Duration::from_secs(1);
/// No more is remembered.
const ENTRIES_MAX: usize = 4_096;

/// Answers by their questions.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    held: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { held: Mutex::default() }
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// The answer, where it was had a moment ago.
    pub(crate) fn find(&self, key: &K) -> Option<V> {
        let held = self.held();
        let (at, value) = held.get(key)?;
        (at.elapsed() < AGE_MAX).then(|| value.clone())
    }

    /// Remembers an answer to a question that was asked at this time.
    pub(crate) fn keep(&self, key: K, at: Instant, value: V) {
        let mut held = self.held();
        if held.len() >= ENTRIES_MAX {
            held.retain(|_, (at, _)| at.elapsed() < AGE_MAX);
        }
        if held.len() < ENTRIES_MAX {
            held.insert(key, (at, value));
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        self.held().clear();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        // What it holds is whole between two entries.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

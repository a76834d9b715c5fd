//! What an evaluator remembers: its last answers, in two generations, so that it is bounded and what
//! is asked again and again stays.

use std::collections::HashMap;

use maestro_schemas::digest::Digest;
use maestro_schemas::verdict::{Hook, Reason};

/// An evaluator remembers no more answers.
pub const ANSWERS_MAX: usize = 4096;

type Key = (Hook, Digest);

/// Answers by what was asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    young: HashMap<Key, Vec<Reason>>,
    old: HashMap<Key, Vec<Reason>>,
}

impl Memory {
    /// What was answered.
    pub(super) fn get(&mut self, key: &Key) -> Option<Vec<Reason>> {
        if let Some(reasons) = self.young.get(key) {
            return Some(reasons.clone());
        }
        let reasons = self.old.remove(key)?;
        self.put(*key, reasons.clone());
        Some(reasons)
    }

    /// Keeps an answer; the oldest half goes where there is no room.
    pub(super) fn put(&mut self, key: Key, reasons: Vec<Reason>) {
        if self.young.len() >= ANSWERS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, reasons);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_asked_for() {
        let mut memory = Memory::default();
        let key = |number: usize| (Hook::Cost, Digest::of(&number.to_le_bytes()));
        for number in 0..ANSWERS_MAX * 3 {
            memory.put(key(number), Vec::new());
            assert!(memory.get(&key(0)).is_some(), "it was asked for all the time: {number}");
        }
        assert!(memory.young.len() + memory.old.len() <= ANSWERS_MAX);
        assert!(memory.get(&key(1)).is_none());
    }
}

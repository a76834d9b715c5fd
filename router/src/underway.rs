//! Calls under way: counted from the decision on until somebody tells how they ended, or nobody is
//! expected to any more.

use std::collections::{BTreeMap, HashMap, VecDeque};

use maestro_schemas::id::DecisionId;

/// A call whose end nobody has told counts for so long, in milliseconds: its caller may be dead.
pub const COUNTED_MS_MAX: u64 = 10 * 60 * 1_000;
/// The most calls that are counted; beyond, the oldest are not.
pub const CALLS_MAX: usize = 100_000;

/// Calls under way.
#[derive(Debug, Clone, Default)]
pub struct Underway {
    /// Where each goes.
    calls: HashMap<DecisionId, String>,
    /// In the order in which they began.
    begun: VecDeque<(u64, DecisionId)>,
    counts: BTreeMap<String, u32>,
}

impl Underway {
    /// A call began; told twice, it counts once.
    pub fn begin(&mut self, decision: DecisionId, deployment: &str, now_ms: u64) {
        self.expire(now_ms);
        if self.calls.contains_key(&decision) {
            return;
        }
        if self.begun.len() >= CALLS_MAX
            && let Some((_, oldest)) = self.begun.pop_front()
        {
            self.end(oldest);
        }
        self.calls.insert(decision, deployment.to_owned());
        self.begun.push_back((now_ms, decision));
        *self.counts.entry(deployment.to_owned()).or_default() += 1;
    }

    /// A call ended.
    pub fn end(&mut self, decision: DecisionId) {
        let Some(deployment) = self.calls.remove(&decision) else { return };
        if let Some(count) = self.counts.get_mut(&deployment) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many calls to a deployment are under way.
    pub fn of(&self, deployment: &str) -> u32 {
        self.counts.get(deployment).copied().unwrap_or(0)
    }

    /// Counts no longer what is not expected to end.
    pub fn expire(&mut self, now_ms: u64) {
        while let Some((began, decision)) = self.begun.front().copied() {
            let is_over = !self.calls.contains_key(&decision);
            if !is_over && now_ms.saturating_sub(began) < COUNTED_MS_MAX {
                break;
            }
            self.begun.pop_front();
            self.end(decision);
        }
    }

    /// Forgets what goes to deployments that are not known any more.
    pub fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.calls.retain(|_, deployment| is_known(deployment));
        self.counts.retain(|deployment, _| is_known(deployment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_from_its_decision_to_its_end_and_once() {
        let (mut underway, one, other) =
            (Underway::default(), DecisionId::generate(), DecisionId::generate());
        underway.begin(one, "a", 10);
        underway.begin(one, "a", 11);
        underway.begin(other, "a", 12);
        assert_eq!((underway.of("a"), underway.of("b")), (2, 0));
        underway.end(one);
        underway.end(one);
        assert_eq!(underway.of("a"), 1);
    }

    #[test]
    fn what_nobody_tells_the_end_of_counts_no_longer_after_a_while() {
        let mut underway = Underway::default();
        underway.begin(DecisionId::generate(), "a", 0);
        underway.begin(DecisionId::generate(), "a", 5_000);
        underway.expire(COUNTED_MS_MAX - 1);
        assert_eq!(underway.of("a"), 2);
        underway.expire(COUNTED_MS_MAX);
        assert_eq!(underway.of("a"), 1);
    }

    #[test]
    fn no_more_are_counted_than_there_is_room_for() {
        let mut underway = Underway::default();
        (0..=CALLS_MAX).for_each(|_| underway.begin(DecisionId::generate(), "a", 0));
        assert_eq!(underway.of("a"), CALLS_MAX as u32);
        assert_eq!(underway.begun.len(), CALLS_MAX);
    }
}

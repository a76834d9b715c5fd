//! Calls under way: counted from the decision on until somebody tells how they ended, or nobody is
//! expected to any more.
//!
//! What must stay true: a call counts once however often it is told, and no longer once its end was, even
//! where that is heard before its beginning; calls and remembered ends are bounded in number.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use maestro_schemas::id::DecisionId;

/// A call whose end nobody has told counts for so long, in milliseconds: its caller may be dead.
pub const COUNTED_MS_MAX: u64 = 10 * 60 * 1_000;
/// The most calls that are counted; beyond, the oldest are not.
pub const CALLS_MAX: usize = 100_000;
/// How many ends are remembered whose beginning was not heard yet.
const ENDS_MAX: usize = 4_096;

/// Calls under way.
#[derive(Debug, Clone, Default)]
pub struct Underway {
    calls: HashMap<DecisionId, Call>,
    /// The same in the order in which they began.
    order: BTreeMap<u64, DecisionId>,
    counts: BTreeMap<String, u32>,
    next: u64,
    ended: (HashSet<DecisionId>, VecDeque<DecisionId>),
}

#[derive(Debug, Clone)]
struct Call {
    place: u64,
    deployment: String,
    began_ms: u64,
}

impl Underway {
    /// A call began.
    pub fn begin(&mut self, decision: DecisionId, deployment: &str, now_ms: u64) {
        if self.calls.contains_key(&decision) || self.ended.0.contains(&decision) {
            return;
        }
        if self.calls.len() >= CALLS_MAX
            && let Some(oldest) = self.order.values().next().copied()
        {
            self.forget(oldest);
        }
        let call = Call { place: self.next, deployment: deployment.to_owned(), began_ms: now_ms };
        self.order.insert(self.next, decision);
        self.next += 1;
        self.calls.insert(decision, call);
        *self.counts.entry(deployment.to_owned()).or_default() += 1;
    }

    /// A call ended.
    pub fn end(&mut self, decision: DecisionId) {
        if self.forget(decision) {
            return;
        }
        let (ends, order) = &mut self.ended;
        if ends.insert(decision) {
            order.push_back(decision);
        }
        if order.len() > ENDS_MAX
            && let Some(oldest) = order.pop_front()
        {
            ends.remove(&oldest);
        }
    }

    fn forget(&mut self, decision: DecisionId) -> bool {
        let Some(call) = self.calls.remove(&decision) else { return false };
        self.order.remove(&call.place);
        if let Some(count) = self.counts.get_mut(&call.deployment) {
            *count = count.saturating_sub(1);
        }
        true
    }

    /// How many calls to a deployment are under way.
    pub fn of(&self, deployment: &str) -> u32 {
        self.counts.get(deployment).copied().unwrap_or(0)
    }

    /// Counts no longer what is not expected to end.
    pub fn expire(&mut self, now_ms: u64) {
        let is_over = |call: &Call| now_ms.saturating_sub(call.began_ms) >= COUNTED_MS_MAX;
        while let Some(oldest) = self.order.values().next().copied()
            && self.calls.get(&oldest).is_none_or(is_over)
        {
            self.forget(oldest);
        }
    }

    /// Forgets what goes to deployments that are not known any more.
    pub fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        let unknown = self.calls.iter().filter(|(_, call)| !is_known(&call.deployment));
        let unknown: Vec<DecisionId> = unknown.map(|(decision, _)| *decision).collect();
        for decision in unknown {
            self.forget(decision);
        }
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
        underway.begin(one, "a", 13);
        assert_eq!(underway.of("a"), 1, "its end was told twice, and it began again after that");
    }

    #[test]
    fn a_call_whose_end_is_heard_before_its_beginning_does_not_count() {
        let (mut underway, decision) = (Underway::default(), DecisionId::generate());
        underway.end(decision);
        underway.begin(decision, "a", 1);
        assert_eq!(underway.of("a"), 0);
        (0..=ENDS_MAX).for_each(|_| underway.end(DecisionId::generate()));
        assert_eq!((underway.ended.0.len(), underway.ended.1.len()), (ENDS_MAX, ENDS_MAX));
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
    fn no_more_are_counted_than_there_is_room_for_and_those_that_ended_take_none() {
        let (mut underway, first) = (Underway::default(), DecisionId::generate());
        underway.begin(first, "a", 0);
        for _ in 0..CALLS_MAX {
            let decision = DecisionId::generate();
            underway.begin(decision, "b", 0);
            underway.end(decision);
        }
        assert_eq!((underway.of("a"), underway.of("b"), underway.order.len()), (1, 0, 1));
        (0..CALLS_MAX).for_each(|_| underway.begin(DecisionId::generate(), "b", 0));
        assert_eq!((underway.of("a"), underway.of("b")), (0, CALLS_MAX as u32));
    }
}

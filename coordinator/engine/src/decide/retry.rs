//! Whether a failed attempt is followed by another, and when.

use maestro_schemas::outcome::{Failure, FailureClass};
use maestro_schemas::plan::RetryPolicy;

use crate::event::Pause;
use crate::run::Live;

/// How many attempts of a step may lapse, apart from its retries: neighbours burn too.
pub const LAPSES_MAX: u16 = 3;

/// The pause before the next attempt, where there is to be one.
///
/// The delay is `delay × factor^n` for the n-th retry, at most `delay_ms_max`, and never shorter
/// than the other side asked for. `spared` attempts count as no retries, nor do those that lapsed.
pub(super) fn next(
    policy: &RetryPolicy,
    live: &Live,
    spared: u32,
    failure: &Failure,
    now_ms: u64,
) -> Option<Pause> {
    let attempt = live.token.number.checked_add(1)?;
    if failure.class == FailureClass::Lapsed {
        let lapses = live.lapses + 1;
        return (lapses <= LAPSES_MAX).then_some(Pause { attempt, lapses, due_at_ms: now_ms });
    }
    let no_retries = u32::from(live.lapses).saturating_add(spared);
    let retries = live.token.number.saturating_sub(1).saturating_sub(no_retries);
    if retries >= policy.retries_max || !policy.on.contains(&failure.class) {
        return None;
    }
    let delay = delay_ms(policy, retries).max(failure.retry_after_ms.unwrap_or(0));
    Some(Pause { attempt, lapses: live.lapses, due_at_ms: now_ms.saturating_add(delay) })
}

fn delay_ms(policy: &RetryPolicy, retries: u32) -> u64 {
    let factor = policy.factor.max(1.0).powi(i32::try_from(retries).unwrap_or(i32::MAX));
    let delay = policy.delay_ms as f64 * factor;
    // A float to integer cast saturates, so that an endless delay is the longest one.
    (delay as u64).min(policy.delay_ms_max)
}

#[cfg(test)]
mod tests {
    use maestro_schemas::step::AttemptToken;

    use super::*;
    use crate::run::Sight;

    fn live(number: u32, lapses: u16) -> Live {
        Live {
            token: AttemptToken { number, epoch: 1 },
            lapses,
            decided_at_ms: 0,
            sight: Sight::default(),
        }
    }

    fn policy() -> RetryPolicy {
        RetryPolicy {
            retries_max: 2,
            delay_ms: 100,
            factor: 3.0,
            delay_ms_max: 250,
            on: vec![FailureClass::Transient],
        }
    }

    #[test]
    fn pauses_grow_up_to_the_longest_and_end_with_the_last_retry() {
        let failure = Failure::new(FailureClass::Transient, "broken pipe");
        let due = |number| {
            next(&policy(), &live(number, 0), 0, &failure, 1_000).map(|pause| pause.due_at_ms)
        };
        assert_eq!((due(1), due(2), due(3)), (Some(1_100), Some(1_250), None));
    }

    #[test]
    fn what_is_not_listed_is_not_retried() {
        assert_eq!(
            next(&policy(), &live(1, 0), 0, &Failure::new(FailureClass::Permanent, "no"), 0),
            None
        );
    }

    #[test]
    fn lapses_have_a_budget_of_their_own() {
        let lapsed = Failure::new(FailureClass::Lapsed, "silent");
        assert!(next(&policy(), &live(3, 2), 0, &lapsed, 0).is_some());
        assert!(next(&policy(), &live(4, 3), 0, &lapsed, 0).is_none());
        let failure = Failure::new(FailureClass::Transient, "broken pipe");
        assert!(
            next(&policy(), &live(4, 3), 0, &failure, 0).is_some(),
            "three lapses took up a retry"
        );
    }

    #[test]
    fn the_other_sides_wish_is_respected() {
        let mut failure = Failure::new(FailureClass::Transient, "busy");
        failure.retry_after_ms = Some(9_000);
        assert_eq!(
            next(&policy(), &live(1, 0), 0, &failure, 0).map(|pause| pause.due_at_ms),
            Some(9_000)
        );
    }
}

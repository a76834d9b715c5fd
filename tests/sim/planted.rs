//! Faults that the simulation plants on purpose: each must trip its invariant.

/// A fault in the wiring around the fold, or in the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// The database lands a commit whatever its epoch and batch.
    FenceIgnored,
    /// The database does not keep pauses.
    TimersLost,
    /// The database does not keep every live attempt.
    DispatchLost,
    /// The database does not keep how attempts ended.
    EndsLost,
    /// The database does not keep that a run is cancelled.
    CancelsLost,
    /// The database does not keep that a run was cancelled a second time.
    SecondCancelsLost,
    /// The database blames innocent commits.
    AnybodyBlamed,
    /// Messages are acked when they are pulled.
    AckedEarly,
    /// Messages are acked when a part of them was buried.
    PartsAcked,
    /// Commands are answered when they are sent.
    AnsweredEarly,
    /// The api forgets which run a key stands for.
    KeysForgotten,
    /// Questions are dropped.
    AsksDropped,
    /// The bus gives each task to two workers.
    TasksDoubled,
    /// The inbox is said to have been read to its end when it was not.
    ReadingFeigned,
    /// Workers claim more slots than they have.
    SlotsFeigned,
    /// Tasks of one pool are never published.
    TasksDropped,
    /// Tasks that make lost objects again are never published.
    RemakesDropped,
}

#[cfg(test)]
mod tests {
    use super::Planted;
    use crate::play::{How, play};

    /// Plays seeds with a fault until it trips the invariant, and only that one is checked.
    fn trips(fault: Planted, invariant: u8) {
        let how = How { planted: Some(fault), only: Some(invariant), ..How::default() };
        let tripped = (0..300).find_map(|seed| play(seed, how).result.err());
        let found = tripped.unwrap_or_else(|| panic!("{fault:?} does not trip {invariant}"));
        assert_eq!(found.invariant, invariant, "{fault:?}: {}", found.what);
    }

    #[test]
    fn a_pause_that_is_not_kept_is_missed_by_the_next_owner() {
        trips(Planted::TimersLost, 1);
    }

    #[test]
    fn a_database_without_a_fence_is_caught() {
        trips(Planted::FenceIgnored, 2);
    }

    #[test]
    fn an_ack_before_the_commit_is_caught() {
        trips(Planted::AckedEarly, 3);
    }

    #[test]
    fn an_ack_of_a_message_of_which_only_a_part_was_buried_is_caught() {
        trips(Planted::PartsAcked, 3);
    }

    #[test]
    fn a_second_cancellation_that_is_not_kept_is_missed_by_the_next_owner() {
        trips(Planted::SecondCancelsLost, 1);
    }

    #[test]
    fn an_answer_before_the_commit_is_caught() {
        trips(Planted::AnsweredEarly, 3);
    }

    #[test]
    fn a_key_that_stands_for_two_runs_is_caught() {
        trips(Planted::KeysForgotten, 3);
    }

    #[test]
    fn a_step_that_is_dispatched_before_its_needs_have_ended_is_caught() {
        trips(Planted::EndsLost, 4);
    }

    #[test]
    fn a_question_that_nobody_answers_is_caught() {
        trips(Planted::AsksDropped, 5);
    }

    #[test]
    fn a_live_attempt_without_its_row_is_caught() {
        trips(Planted::DispatchLost, 5);
    }

    #[test]
    fn a_task_that_is_executed_twice_is_caught() {
        trips(Planted::TasksDoubled, 9);
    }

    #[test]
    fn a_timer_that_overtakes_the_inbox_is_caught() {
        trips(Planted::ReadingFeigned, 10);
    }

    #[test]
    fn an_innocent_run_that_is_set_aside_is_caught() {
        trips(Planted::AnybodyBlamed, 11);
    }

    #[test]
    fn an_attempt_after_a_cancellation_is_caught() {
        trips(Planted::CancelsLost, 12);
    }

    #[test]
    fn a_window_without_bounds_is_caught() {
        trips(Planted::SlotsFeigned, 13);
    }

    #[test]
    fn a_lost_object_that_is_never_made_again_is_caught() {
        trips(Planted::RemakesDropped, 16);
    }

    #[test]
    fn a_run_that_never_ends_is_caught() {
        trips(Planted::TasksDropped, 17);
    }
}

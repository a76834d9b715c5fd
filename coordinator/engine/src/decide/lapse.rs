//! An attempt is silent past its time, or its bus refuses it while nobody has it.

use maestro_schemas::outcome::{Failure, FailureClass};
use maestro_schemas::step::{StepAddress, StepState};

use super::{Facts, report};
use crate::event::Event;
use crate::run::Run;
use crate::shard::commit::AttemptOutcome;

/// Why an attempt lapses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It ran past its timeout, and its worker did not end it.
    Overran,
    /// The bus has it, nobody has it in hand, and slots are idle.
    Unclaimed,
    /// It was cancelled, and no heartbeat names it any more.
    Cancelled,
}

/// Ends the attempt; a cancelled one is over, any other may be followed by a next one.
pub fn decide(run: &Run, step: StepAddress, silence: Silence, facts: Facts) -> Vec<Event> {
    let Some(live) = run.live.get(&step) else {
        return Vec::new();
    };
    let mut ended = report::without_report(step, live, facts);
    let message = match silence {
        Silence::Overran => "it ran past its timeout and its worker did not end it",
        Silence::Unclaimed => {
            "no worker took it up although slots were idle; it may kill its workers"
        }
        Silence::Cancelled => {
            ended.outcome = AttemptOutcome::Cancelled;
            ended.state = StepState::Cancelled;
            return vec![Event::AttemptEnded(Box::new(ended))];
        }
    };
    report::fail(run, live, ended, Failure::new(FailureClass::Lapsed, message), facts)
}

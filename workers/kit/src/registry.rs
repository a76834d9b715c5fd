//! What a worker has in hand of a pool, and what it was told to stop lately.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use maestro_schemas::control::Cancel;
use maestro_schemas::heartbeat::RunningExecution;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_schemas::task::Task;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ledger::Ledger;

/// For how long a cancelled run's tasks are not begun, should they arrive late.
const CANCELLED_KEPT: Duration = Duration::from_secs(600);
/// How many cancels are remembered; the oldest are forgotten.
const CANCELLED_MAX: usize = 4_096;

type Attempt = (RunId, StepAddress, AttemptToken);
type Cancelled = (RunId, Option<(StepAddress, AttemptToken)>);

/// Why an execution was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its run was cancelled.
    Cancelled,
    /// It ran longer than it may.
    TimedOut,
    /// The worker ends and cannot wait for it: somebody else begins it anew.
    GivenUp,
}

/// How an execution is asked to stop: once, for one cause.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    pub(crate) token: CancellationToken,
    cause: Arc<OnceLock<Cause>>,
}

impl Stop {
    pub(crate) fn ask(&self, cause: Cause) {
        // The first cause stands.
        let _ = self.cause.set(cause);
        self.token.cancel();
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.cause.get().copied()
    }
}

#[derive(Default)]
pub(crate) struct Registry {
    held: Mutex<Held>,
    /// Something was taken in hand or put down.
    pub(crate) changed: Notify,
    /// The last thing in hand was put down.
    pub(crate) emptied: Notify,
}

#[derive(Default)]
struct Held {
    running: HashMap<Attempt, Running>,
    cancelled: HashMap<Cancelled, Instant>,
}

struct Running {
    task: Arc<Task>,
    execution: ExecutionId,
    started: Instant,
    stop: Stop,
}

/// Whether a task may begin.
pub(crate) enum Entered {
    /// It may.
    Begun(Hand),
    /// This worker has the same attempt in hand already; its report will do for both deliveries.
    InHand,
}

/// An attempt in hand; it is put down when this is dropped.
pub(crate) struct Hand {
    registry: Arc<Registry>,
    attempt: Attempt,
    pub(crate) execution: ExecutionId,
    pub(crate) started: Instant,
    pub(crate) stop: Stop,
    pub(crate) ledger: Ledger,
}

fn attempt(task: &Task) -> Attempt {
    (task.run, task.step, task.token)
}

impl Registry {
    /// Takes an attempt in hand. One that was cancelled lately is stopped from its beginning.
    pub(crate) fn enter(self: &Arc<Self>, task: &Arc<Task>) -> Entered {
        let attempt = attempt(task);
        let mut held = self.held();
        let cancelled = held.is_cancelled(attempt);
        let Entry::Vacant(place) = held.running.entry(attempt) else {
            return Entered::InHand;
        };
        let hand = Hand {
            registry: Arc::clone(self),
            attempt,
            execution: ExecutionId::generate(),
            started: Instant::now(),
            stop: Stop::default(),
            ledger: Ledger::default(),
        };
        if cancelled {
            hand.stop.ask(Cause::Cancelled);
        }
        place.insert(Running {
            task: Arc::clone(task),
            execution: hand.execution,
            started: hand.started,
            stop: hand.stop.clone(),
        });
        drop(held);
        self.changed.notify_one();
        Entered::Begun(hand)
    }

    /// Stops what a cancel names, and does not begin it for a while.
    pub(crate) fn cancel(&self, cancel: &Cancel) {
        let mut held = self.held();
        for ((run, step, token), running) in &held.running {
            if *run == cancel.run && cancel.attempt.is_none_or(|named| named == (*step, *token)) {
                running.stop.ask(Cause::Cancelled);
            }
        }
        held.remember((cancel.run, cancel.attempt));
    }

    /// Stops all, for somebody else to begin anew.
    pub(crate) fn give_up(&self) {
        for running in self.held().running.values() {
            running.stop.ask(Cause::GivenUp);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held().running.is_empty()
    }

    /// What is in hand and began at least `age` ago.
    pub(crate) fn running(&self, age: Duration) -> Vec<RunningExecution> {
        let now = Instant::now();
        let held = self.held();
        let old = held.running.values();
        old.filter(|running| now.duration_since(running.started) >= age)
            .map(|running| RunningExecution {
                run: running.task.run,
                step: running.task.step,
                name: running.task.name.clone(),
                token: running.task.token,
                execution: running.execution,
                elapsed_ms: millis(now.duration_since(running.started)),
            })
            .collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn is_cancelled(&self, (run, step, token): Attempt) -> bool {
        !self.cancelled.is_empty()
            && [None, Some((step, token))].into_iter().any(|named| {
                let at = self.cancelled.get(&(run, named));
                at.is_some_and(|at| at.elapsed() < CANCELLED_KEPT)
            })
    }

    fn remember(&mut self, cancelled: Cancelled) {
        if self.cancelled.len() >= CANCELLED_MAX {
            self.cancelled.retain(|_, at| at.elapsed() < CANCELLED_KEPT);
        }
        if self.cancelled.len() >= CANCELLED_MAX {
            let oldest = self.cancelled.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(oldest, _)| *oldest) {
                self.cancelled.remove(&oldest);
            }
        }
        self.cancelled.insert(cancelled, Instant::now());
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        let mut held = self.registry.held();
        held.running.remove(&self.attempt);
        let emptied = held.running.is_empty();
        drop(held);
        self.registry.changed.notify_one();
        if emptied {
            self.registry.emptied.notify_one();
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

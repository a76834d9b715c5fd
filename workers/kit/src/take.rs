//! Taking tasks: each gets its slots and an execution; what is none goes to the dead letters.

use std::collections::VecDeque;
use std::sync::Arc;

use maestro_schemas::codec;
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::task::Task;
use maestro_streams::dead::{self, DeadLetter};
use maestro_streams::delivery::Delivery;
use maestro_streams::fetch::tasks::TaskQueue;
use maestro_streams::topology::{TASK_RENEW, subject};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use crate::capacity::Capacity;
use crate::carry::{Begun, carry};
use crate::registry::Entered;
use crate::session::Pool;

/// Takes tasks until the worker drains, and gives back what was not begun.
pub(crate) async fn take_tasks(pool: Arc<Pool>, mut queue: TaskQueue, executions: TaskTracker) {
    let mut taking = Taking {
        slots: Arc::clone(&pool.room),
        capacity: Capacity::of_host(pool.slots),
        ready: VecDeque::new(),
        executions,
        pool,
    };
    while taking.step(&mut queue).await {}
    for delivery in &taking.ready {
        delivery.nak().await;
    }
    queue.close().await;
}

struct Taking {
    pool: Arc<Pool>,
    slots: Arc<Semaphore>,
    capacity: Capacity,
    /// Taken and not begun: each waits for its slots.
    ready: VecDeque<Delivery>,
    executions: TaskTracker,
}

impl Taking {
    /// One step; whether there is another.
    async fn step(&mut self, queue: &mut TaskQueue) -> bool {
        if self.pool.draining.is_cancelled() {
            return false;
        }
        let Some(delivery) = self.ready.front() else {
            return self.take(queue).await;
        };
        let task = match decode(&self.pool, delivery) {
            Ok(task) => Arc::new(task),
            Err(reason) => {
                let refused = self.ready.pop_front();
                if let Some(delivery) = refused {
                    self.executions.spawn(bury(Arc::clone(&self.pool), delivery, reason));
                }
                return true;
            }
        };
        let fits = self.capacity.slots_for(&task.resources);
        let wanted = fits.as_ref().copied().unwrap_or(1);
        let Some(slot) = self.slots(wanted, queue).await else {
            return true;
        };
        if let Some(delivery) = self.ready.pop_front() {
            self.begin(task, delivery, (slot, fits.err()));
        }
        true
    }

    async fn take(&mut self, queue: &mut TaskQueue) -> bool {
        let Some(slot) = self.slots(1, queue).await else {
            return true;
        };
        drop(slot);
        let free = self.slots.available_permits().max(1);
        tokio::select! {
            () = self.pool.draining.cancelled() => false,
            tasks = queue.next(free) => match tasks {
                Some(tasks) => {
                    self.ready.extend(tasks);
                    true
                }
                None => false,
            },
        }
    }

    /// Waits for slots, for a moment; what is held meanwhile is renewed.
    async fn slots(&self, wanted: u32, queue: &mut TaskQueue) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_many_owned(wanted) {
            return Some(slot);
        }
        let acquired = tokio::select! {
            () = self.pool.draining.cancelled() => return None,
            slot = Arc::clone(&self.slots).acquire_many_owned(wanted) => slot.ok(),
            () = tokio::time::sleep(TASK_RENEW) => None,
        };
        if acquired.is_none() {
            queue.renew_held().await;
            for delivery in &self.ready {
                delivery.in_progress_unconfirmed().await;
            }
        }
        acquired
    }

    fn begin(
        &self,
        task: Arc<Task>,
        delivery: Delivery,
        (slot, unfit): (OwnedSemaphorePermit, Option<String>),
    ) {
        let hand = match self.pool.registry.enter(&task) {
            Entered::Begun(hand) => hand,
            // The execution in hand renews and acks the same message of the stream.
            Entered::InHand => return,
        };
        let begun = Begun { task, delivery, hand, slot };
        let pool = Arc::clone(&self.pool);
        let (name, action) = (&pool.name, &begun.task.action);
        let unserved = (!pool.serves(action))
            .then(|| format!("this worker of pool {name} does not serve action {action:?}"));
        match unfit.or(unserved) {
            None => self.executions.spawn(carry(pool, begun)),
            Some(message) => self.executions.spawn(refuse(pool, begun, message)),
        };
    }
}

fn decode(pool: &Pool, delivery: &Delivery) -> Result<Task, String> {
    let task: Task = codec::decode(&delivery.payload).map_err(|error| chain(&error))?;
    if task.pool != pool.name {
        return Err(format!("the task is for pool {}, and this is pool {}", task.pool, pool.name));
    }
    Ok(task)
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Keeps what is no task with its reason; gone from the stream only when it is kept.
async fn bury(pool: Arc<Pool>, delivery: Delivery, reason: String) {
    tracing::warn!(reason, "a task is none");
    let letter = DeadLetter {
        subject: subject::dead_task(&pool.name),
        origin: delivery.subject.clone(),
        payload: delivery.payload.clone(),
        reason: reason.clone(),
    };
    if dead::letter(&pool.publisher, letter).await.is_there() {
        delivery.term(&reason).await;
    }
}

async fn refuse(pool: Arc<Pool>, begun: Begun, message: String) {
    let outcome = Outcome::failed(FailureClass::Permanent, message);
    crate::carry::hand_over(&pool, begun, outcome).await;
}

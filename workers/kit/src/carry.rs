//! One execution: the handler in a task of its own, its delivery renewed, its deadline kept.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use maestro_schemas::outcome::Outcome;
use maestro_schemas::report::{Report, Usage};
use maestro_schemas::task::Task;
use maestro_streams::connect::Connection;
use maestro_streams::delivery::Delivery;
use maestro_streams::topology::TASK_RENEW;
use maestro_streams::topology::subject::LogAddress;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::account::Account;
use crate::action::{Execution, Handler};
use crate::log::LogSink;
use crate::outcome::{Ended, reported, with_artifacts};
use crate::redact::Redactor;
use crate::registry::{Cause, Hand, millis};
use crate::report::Finished;
use crate::scratch::Scratch;
use crate::secrets::{self, Secrets};
use crate::session::Pool;

/// How long a handler may take to end after it was asked to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// A task that has a slot.
pub(crate) struct Begun {
    pub(crate) task: Arc<Task>,
    pub(crate) delivery: Delivery,
    pub(crate) hand: Hand,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Carries a task out and hands over its report; one that is given up goes back to the pool.
pub(crate) async fn carry(pool: Arc<Pool>, begun: Begun) {
    let outcome = {
        let mut renewing = pin!(renew(&begun.delivery));
        let mut running = pin!(run(&pool, &begun));
        tokio::select! {
            biased;
            outcome = &mut running => outcome,
            () = &mut renewing => None,
        }
    };
    match outcome {
        Some(outcome) => hand_over(&pool, begun, outcome).await,
        None => begun.delivery.nak().await,
    }
}

/// Hands over the report of an execution that has ended, with what it keeps until it is sent.
pub(crate) async fn hand_over(pool: &Pool, begun: Begun, outcome: Outcome) {
    let finished = Finished {
        shard: begun.task.shard,
        report: report(pool, &begun.task, &begun.hand, outcome),
        delivery: begun.delivery,
        _hand: begun.hand,
        _slot: begun.slot,
    };
    if pool.reports.send(finished).await.is_err() {
        tracing::error!("a report has nowhere to go; its task will be delivered again");
    }
}

fn report(pool: &Pool, task: &Task, hand: &Hand, outcome: Outcome) -> Report {
    Report {
        run: task.run,
        step: task.step,
        token: task.token,
        execution: hand.execution,
        worker: pool.worker,
        pool: task.pool.clone(),
        outcome,
        usage: Usage {
            wall_ms: millis(hand.started.elapsed()),
            cost_microusd: hand.ledger.spent_microusd(),
            ..Usage::default()
        },
        calls: hand.ledger.calls(),
    }
}

/// Keeps the delivery ours for as long as this is polled. When the bus does not hear it for
/// `ack_wait`, somebody else may begin the attempt too; this one goes on, and the first report
/// counts.
async fn renew(delivery: &Delivery) {
    loop {
        tokio::time::sleep(TASK_RENEW).await;
        if !delivery.in_progress(TASK_RENEW).await {
            tracing::debug!(subject = %delivery.subject, "a task in hand could not be renewed");
        }
    }
}

async fn run(pool: &Arc<Pool>, begun: &Begun) -> Option<Outcome> {
    let stop = &begun.hand.stop;
    let alone = begun.delivery.delivered >= pool.alone_from;
    let company = tokio::select! {
        biased;
        () = stop.token.cancelled() => None,
        company = pool.solitude.enter(alone) => Some(company),
    };
    if company.is_none() {
        return reported(Ended::Abandoned, stop.cause(), begun.task.timeout_ms);
    }
    let execution = execution(pool, begun);
    let (log, scratch) = (execution.log.clone(), execution.scratch.clone());
    let (beside, redactor) = (execution.beside.clone(), execution.redactor.clone());
    let ended = watch(pool, begun, execution).await.without_secrets(&redactor);
    drop(company);
    let outcome = reported(ended, stop.cause(), begun.task.timeout_ms);
    beside.close();
    let (artifact, ()) = tokio::join!(log.finish(), beside.wait());
    scratch.remove().await;
    outcome.map(|outcome| with_artifacts(outcome, artifact.into_iter().collect()))
}

fn execution(pool: &Pool, begun: &Begun) -> Execution {
    let Begun { task, delivery, hand, .. } = begun;
    let address = LogAddress {
        pool: task.pool.clone(),
        run: task.run,
        step: task.step,
        attempt: task.token.number,
        execution: hand.execution,
    };
    let redactor = Redactor::default();
    Execution {
        task: Arc::clone(task),
        id: hand.execution,
        delivered: delivery.delivered,
        stop: hand.stop.token.clone(),
        secrets: Secrets::new(),
        log: LogSink::streamed(pool.store.clone(), redactor.clone(), pool.logs.clone(), &address),
        redactor,
        store: pool.store.clone(),
        ledger: hand.ledger.clone(),
        account: Account::shared(
            (task, hand.execution, delivery.delivered),
            hand.ledger.clone(),
            (&pool.connection, &pool.publisher),
        ),
        router: pool.router.clone(),
        scratch: Scratch::below(&pool.scratch, hand.execution),
        beside: TaskTracker::new(),
    }
}

/// The execution with its secrets, or how it ended for want of them.
async fn with_secrets(
    handler: &dyn Handler,
    connection: &Connection,
    mut execution: Execution,
) -> Result<Execution, Outcome> {
    if execution.task.secrets.is_empty() {
        return Ok(execution);
    }
    let action = &execution.task.action;
    if !handler.takes_secrets(action) {
        return Err(secrets::Error::Untaken(action.clone()).into_outcome());
    }
    let asked = secrets::obtain(connection, (&execution.task, execution.id), &execution.redactor);
    let got = execution.stop.run_until_cancelled(asked).await;
    let got = got.ok_or(Outcome::Cancelled { artifacts: Vec::new() })?;
    execution.secrets = got.map_err(secrets::Error::into_outcome)?;
    Ok(execution)
}

/// Runs the handler until it ends, or until [`GRACE`] after it was asked to.
async fn watch(pool: &Pool, begun: &Begun, execution: Execution) -> Ended {
    let stop = &begun.hand.stop;
    // Called in the task, so that a panic before its first await is caught too.
    let (handler, connection) = (Arc::clone(&pool.handler), pool.connection.clone());
    let handling = async move {
        match with_secrets(&*handler, &connection, execution).await {
            Ok(execution) => handler.carry_out(execution).await,
            Err(outcome) => outcome,
        }
    };
    let mut handler = AbortOnDropHandle::new(tokio::spawn(handling));
    let timeout = Duration::from_millis(begun.task.timeout_ms);
    let mut due = pin!(tokio::time::sleep(timeout));
    let mut stopping = false;
    loop {
        tokio::select! {
            biased;
            joined = &mut handler => return Ended::of(joined),
            () = stop.token.cancelled(), if !stopping => {
                stopping = true;
                due.as_mut().reset(Instant::now() + GRACE);
            }
            () = &mut due => {
                if stopping {
                    return Ended::Abandoned;
                }
                stop.ask(Cause::TimedOut);
            }
        }
    }
}

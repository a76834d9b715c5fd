//! Tells what happens to a run, as it happens, from its rows.
//!
//! What is told and bears a batch was read from rows, in the order of batches, so that nothing is
//! missed however many hints are lost. Hints from the bus only say when to read again; what they
//! alone know (an attempt was decided, a worker has it in hand) is passed on without a batch of
//! its own.

use std::collections::HashSet;
use std::time::Duration;

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::{StepAddress, StepState};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, timeout_at};

use super::bus::Hint;
use super::list_steps::step_name;
use super::{App, Error};
use crate::clock::now_ms;
use crate::store::run::Head;
use crate::store::run_event::{self, Happened, Place, What};
use crate::store::step;

/// Rows that are read at once.
const PAGE: u16 = 500;
/// Live attempts that are told to who begins to look.
const LIVE_MAX: u16 = 1_000;
/// The least time between two readings; a reading that takes long is followed by a longer pause.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// How many times a reading's own time passes before the next one.
const PAUSE_FACTOR: u32 = 10;
/// The longest time without a reading, in case every hint was lost.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// Events that wait for a slow listener.
const BUFFER: usize = 256;
/// Executions that are remembered as told, and attempts as ended.
const REMEMBERED_MAX: usize = 100_000;

/// An event to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What happened.
    pub event: Event,
    /// What a listener resumes from once it has this event; only on the last of a batch.
    pub resume_from: Option<u64>,
}

impl App {
    /// What happened after `batch` and what happens from now on, until the run has ended or nobody
    /// listens.
    pub async fn follow_run(
        &self,
        project: &ProjectName,
        run: RunId,
        batch: u64,
    ) -> Result<mpsc::Receiver<Told>, Error> {
        let hints = self.bus.listen();
        let (head, plan) = self.head_and_plan(project, run).await?;
        let (tell, told) = mpsc::channel(BUFFER);
        let follower = Follower {
            app: self.clone(),
            head,
            plan,
            place: Place::after(batch),
            ended: false,
            started: HashSet::new(),
            over: HashSet::new(),
            tell,
        };
        tokio::spawn(follower.follow(hints));
        Ok(told)
    }
}

struct Follower {
    app: App,
    head: Head,
    plan: CheckedPlan,
    /// What was told last from the rows.
    place: Place,
    ended: bool,
    started: HashSet<ExecutionId>,
    /// Attempts that were told to have ended: a hint that one lives comes too late.
    over: HashSet<(StepAddress, u32)>,
    tell: mpsc::Sender<Told>,
}

/// Nobody listens any more, or the rows cannot be read: the stream ends and is asked for again.
struct Over;

impl Follower {
    async fn follow(mut self, mut hints: broadcast::Receiver<Hint>) {
        let _ = self.tell_all(&mut hints).await;
    }

    async fn tell_all(&mut self, hints: &mut broadcast::Receiver<Hint>) -> Result<(), Over> {
        self.tell_rows().await?;
        if self.ended || self.head.state.is_final() {
            return Ok(());
        }
        self.tell_live().await?;
        for heartbeat in self.app.bus.workers() {
            self.tell_started(&heartbeat).await?;
        }
        while !self.ended {
            let begun = Instant::now();
            self.tell_rows().await?;
            let pause = (begun.elapsed() * PAUSE_FACTOR).max(PAUSE_MIN);
            self.listen(hints, begun + pause, begun + pause.max(PAUSE_MAX)).await?;
        }
        Ok(())
    }

    /// Passes hints on until there is something to read: at `due` if one said so, at `latest` if
    /// none did.
    async fn listen(
        &mut self,
        hints: &mut broadcast::Receiver<Hint>,
        due: Instant,
        latest: Instant,
    ) -> Result<(), Over> {
        let mut until = latest;
        loop {
            let hint = tokio::select! {
                hint = timeout_at(until, hints.recv()) => hint,
                () = self.tell.closed() => return Err(Over),
            };
            match hint {
                Err(_) => return Ok(()),
                Ok(Err(broadcast::error::RecvError::Lagged(_))) => until = due,
                Ok(Err(broadcast::error::RecvError::Closed)) => return Err(Over),
                Ok(Ok(Hint::Told(event))) if event.run == self.head.id => {
                    until = due;
                    self.pass_on(&event).await?;
                }
                Ok(Ok(Hint::Told(_))) => {}
                Ok(Ok(Hint::Heard(heartbeat))) => self.tell_started(&heartbeat).await?,
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    /// Tells every row after the place, page by page.
    async fn tell_rows(&mut self) -> Result<(), Over> {
        loop {
            let page = match run_event::since(&self.app.pool, self.head.id, self.place, PAGE).await
            {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%error, "a run's events cannot be read");
                    return Err(Over);
                }
            };
            let is_last = page.len() < usize::from(PAGE);
            let mut rows = page.into_iter().peekable();
            while let Some(row) = rows.next() {
                let ends_batch =
                    rows.peek().map_or(is_last, |next| next.place.batch != row.place.batch);
                self.tell_row(row, ends_batch).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn tell_row(&mut self, row: Happened, ends_batch: bool) -> Result<(), Over> {
        self.place = row.place;
        let batch = row.place.batch;
        let event = match row.what {
            What::Run(event) => *event,
            What::Step { address, attempt, state, failure } => {
                if self.over.len() > REMEMBERED_MAX {
                    self.over.clear();
                }
                self.over.insert((address, attempt));
                let step = step_name(&self.plan, address).unwrap_or_else(|| address.to_string());
                let kind =
                    EventKind::Step { address, step, state, attempt, failure, retry_at_ms: None };
                Event { run: self.head.id, batch, at_ms: row.at_ms, kind }
            }
        };
        if let EventKind::Run { state, .. } = &event.kind {
            self.ended |= state.is_final();
        }
        self.say(event, ends_batch.then_some(batch)).await
    }

    async fn tell_live(&mut self) -> Result<(), Over> {
        let live = step::live(&self.app.pool, self.head.id, 0..u32::MAX, LIVE_MAX).await;
        for row in live.map_err(|_| Over)? {
            let step = step_name(&self.plan, row.step).unwrap_or_else(|| row.step.to_string());
            let kind = EventKind::Step {
                address: row.step,
                step,
                state: StepState::Live,
                attempt: row.token.number,
                failure: None,
                retry_at_ms: None,
            };
            self.say_unkept(row.decided_at_ms, kind).await?;
        }
        Ok(())
    }

    /// Passes on what no row will tell: that a step is live now.
    async fn pass_on(&mut self, event: &Event) -> Result<(), Over> {
        match &event.kind {
            EventKind::Step {
                address,
                attempt,
                state: StepState::Live | StepState::Cancelling,
                ..
            } if !self.over.contains(&(*address, *attempt)) => {
                self.say_unkept(event.at_ms, event.kind.clone()).await
            }
            _ => Ok(()),
        }
    }

    async fn tell_started(&mut self, heartbeat: &Heartbeat) -> Result<(), Over> {
        if self.started.len() > REMEMBERED_MAX {
            self.started.clear();
        }
        let run = self.head.id;
        for execution in heartbeat.running.iter().filter(|execution| execution.run == run) {
            let is_over = self.over.contains(&(execution.step, execution.token.number));
            if !is_over && self.started.insert(execution.execution) {
                let kind = EventKind::Started {
                    address: execution.step,
                    step: execution.name.clone(),
                    attempt: execution.token.number,
                    worker: heartbeat.name.clone(),
                };
                self.say_unkept(now_ms().saturating_sub(execution.elapsed_ms), kind).await?;
            }
        }
        Ok(())
    }

    /// Tells what bears no batch of its own: nobody must resume behind what was not yet read.
    async fn say_unkept(&self, at_ms: u64, kind: EventKind) -> Result<(), Over> {
        let event = Event { run: self.head.id, batch: self.place.batch, at_ms, kind };
        self.say(event, None).await
    }

    async fn say(&self, event: Event, resume_from: Option<u64>) -> Result<(), Over> {
        self.tell.send(Told { event, resume_from }).await.map_err(|_| Over)
    }
}

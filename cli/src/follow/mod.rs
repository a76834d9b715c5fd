//! A run watched from here to its end: one stream of events, three ways to show it.
//!
//! `run`, `runs watch` and `runs rerun` call it. The events are hints: the rows are read when the
//! watch begins, when the stream breaks off, and at the end, and what they say is what is told.

pub mod ending;
pub mod interrupt;
pub mod sight;

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::id::RunId;
use maestro_schemas::step::{StepAddress, StepState};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use self::interrupt::{Interrupts, Wish};
use self::sight::Sight;
use crate::client::events::{EventStream, Next};
use crate::client::logs::LogOf;
use crate::client::{self, Client};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::duration::{now_ms, spoken};
use crate::view::frame::TAIL_LINES;
use crate::view::model::Run;

/// A live view is redrawn no more often.
const TICK: Duration = Duration::from_millis(100);
/// A submission that was answered before its commit was known appears within this, or never.
const APPEARANCE: Duration = Duration::from_secs(60);
/// Of so many failed steps the last lines are fetched.
const TAILS_MAX: usize = 24;

/// What to watch, and until when.
#[derive(Debug)]
pub struct Watch {
    /// The server.
    pub client: Client,
    /// The run.
    pub run: RunId,
    /// Where it is shown.
    pub output: Output,
    /// After which the watch ends and the run goes on.
    pub wait: Option<Duration>,
    /// Flags that a next command needs to reach the same server, as ` --local`.
    pub flags: String,
}

/// What a tail's reader found.
type Tail = (StepAddress, Vec<String>);

struct State {
    run: Run,
    sight: Sight,
    tails: mpsc::Sender<Tail>,
    asked: BTreeSet<StepAddress>,
}

impl Watch {
    /// Shows the run until it has ended, the time is over, or the viewer leaves.
    pub async fn to_the_end(self) -> Result<Exit, Error> {
        let (detail, run) = self.read().await?;
        let (tails, mut found) = mpsc::channel(TAILS_MAX);
        let mut stream = self.client.events(self.run, detail.batch);
        let mut state =
            State { run, sight: Sight::new(self.output), tails, asked: BTreeSet::new() };
        state.sight.begin(&state.run);
        state.sight.catch_up(None, &state.run, detail.batch)?;
        let mut interrupts = Interrupts::listen()?;
        let deadline = self.wait.and_then(|wait| Instant::now().checked_add(wait));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut ended = detail.summary.state.is_final();
        while !ended {
            tokio::select! {
                next = stream.next() => ended = self.take(next?, &mut stream, &mut state).await?,
                Some((address, tail)) = found.recv() => state.take_tail(address, tail),
                _ = ticks.tick(), if self.output.is_live() => state.sight.tick(&state.run, now_ms()),
                wish = interrupts.wish(self.output) => {
                    if let Some(exit) = self.heed(wish, &mut state).await? {
                        return Ok(exit);
                    }
                }
                () = at(deadline) => return Ok(self.late(&mut state)),
            }
            state.sight.note(interrupts.question());
        }
        drop(state.tails);
        let exit = ending::tell(&self, state.run, state.sight).await?;
        Ok(if interrupts.was_cancelled() { Exit::Interrupted } else { exit })
    }

    async fn read(&self) -> Result<(RunDetail, Run), Error> {
        let detail = self.appear().await?;
        let steps = self.client.steps(self.run).await?;
        let run = Run::new(&detail, steps);
        Ok((detail, run))
    }

    /// A run that was just submitted may not be there yet.
    async fn appear(&self) -> Result<RunDetail, client::Error> {
        let until = Instant::now() + APPEARANCE;
        loop {
            match self.client.run(self.run).await {
                Err(error)
                    if error.exit() == Exit::NotFound
                        && is_young(self.run)
                        && Instant::now() < until =>
                {
                    sleep(TICK).await;
                }
                answer => return answer,
            }
        }
    }

    /// Takes what the stream gave; true once the run has ended.
    async fn take(
        &self,
        next: Next,
        stream: &mut EventStream,
        state: &mut State,
    ) -> Result<bool, Error> {
        match next {
            Next::Event(event) => {
                self.fold(&event, state)?;
                Ok(state.run.state.is_final())
            }
            Next::Lost(error) => {
                state.sight.say(&format!("{error}; trying again"));
                stream.pause().await;
                Ok(false)
            }
            Next::Ended => {
                let detail = self.client.run(self.run).await?;
                let before = state.run.clone();
                state.run.refresh(&detail, self.client.steps(self.run).await?);
                state.sight.catch_up(Some(&before), &state.run, detail.batch)?;
                if !detail.summary.state.is_final() {
                    stream.pause().await;
                }
                Ok(detail.summary.state.is_final())
            }
        }
    }

    fn fold(&self, event: &Event, state: &mut State) -> Result<(), Error> {
        let here_ms = now_ms();
        state.sight.event(&mut state.run, event, here_ms)?;
        if let EventKind::Step { address, state: StepState::Failed, attempt, .. } = &event.kind {
            self.fetch_tail(*address, *attempt, state);
        }
        Ok(())
    }

    /// Fetches a failed attempt's last lines beside the watch. Without them nothing is lost but
    /// the lines, so an error of theirs is none of the watch's.
    fn fetch_tail(&self, address: StepAddress, attempt: u32, state: &mut State) {
        if state.asked.len() >= TAILS_MAX || !state.asked.insert(address) {
            return;
        }
        let of = LogOf {
            run: self.run,
            step: address,
            attempt: Some(attempt).filter(|number| *number > 0),
        };
        let (client, tails) = (self.client.clone(), state.tails.clone());
        tokio::spawn(async move {
            if let Ok(tail) = client.log_tail(of, TAIL_LINES).await {
                let _ = tails.send((address, tail)).await;
            }
        });
    }

    /// Does what a person who pressed Ctrl-C wants; an exit where the watch ends by it.
    async fn heed(&self, wish: Wish, state: &mut State) -> Result<Option<Exit>, Error> {
        match wish {
            Wish::Nothing => Ok(None),
            Wish::Cancel => {
                state.sight.say("cancelling; Ctrl-C again leaves the run to itself");
                self.client.cancel(self.run, "cancelled from the command line").await?;
                Ok(None)
            }
            Wish::Detach => {
                state.sight.leave(&state.run, now_ms());
                self.tell_how_to_return("detached; the run goes on");
                Ok(Some(Exit::Interrupted))
            }
        }
    }

    fn late(&self, state: &mut State) -> Exit {
        state.sight.leave(&state.run, now_ms());
        let waited =
            self.wait.map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        self.tell_how_to_return(&format!("not ended after {}; the run goes on", spoken(waited)));
        Exit::TimedOut
    }

    fn tell_how_to_return(&self, what: &str) {
        let Self { run, flags, output, .. } = self;
        output.talk(&format!("{what}: maestro runs watch {run}{flags}"));
    }
}

impl State {
    fn take_tail(&mut self, address: StepAddress, tail: Vec<String>) {
        if let Some(step) = self.run.step_mut(address) {
            step.tail = tail;
            self.sight.tail(step);
        }
    }
}

/// Whether the id was made within the last minute: its first 48 bits are its time.
fn is_young(run: RunId) -> bool {
    let made_ms = u64::try_from(run.uuid().as_u128() >> 80).unwrap_or(0);
    now_ms().abs_diff(made_ms) < u64::try_from(APPEARANCE.as_millis()).unwrap_or(u64::MAX)
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

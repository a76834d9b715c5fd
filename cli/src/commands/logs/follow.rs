//! What a run, or a step of it, writes, from before it begins until it has ended.

use std::collections::BTreeSet;
use std::time::Duration;

use maestro_schemas::event::EventKind;
use maestro_schemas::id::RunId;
use maestro_schemas::step::{StepAddress, StepState};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::pick::{self, Named};
use super::print;
use crate::client::Client;
use crate::client::events::Next;
use crate::client::logs::{LogOf, LogStream};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// So many outputs are followed at once; those beyond are said to be left out.
const STREAMS_MAX: usize = 64;

/// How long a step that has not begun is left alone before it is asked for again.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens a step's output once the step has begun, as long as its run can still begin it.
pub async fn open(client: &Client, of: LogOf) -> Result<LogStream, Error> {
    loop {
        // Asked for first: once the run has ended, no step of it begins.
        let ended = client.run(of.run).await?.summary.state.is_final();
        match client.log(of, true).await {
            Err(error) if !ended && error.exit() == Exit::NotFound => sleep(PAUSE).await,
            opened => return Ok(opened?),
        }
    }
}

/// Prints what has been written and what is being written, each line behind its step's id.
pub async fn run(client: &Client, run: RunId, output: Output) -> Result<(), Error> {
    let mut tails = Tails::new(client.clone(), output);
    let detail = client.run(run).await?;
    for named in pick::all(client, run, false).await? {
        tails.begin(named);
    }
    let mut stream = client.events(run, detail.batch);
    let mut ended = detail.summary.state.is_final();
    while !ended {
        tokio::select! {
            next = stream.next() => match next? {
                Next::Event(event) => ended = tails.take(run, &event.kind),
                Next::Lost(error) => {
                    output.talk(&format!("{error}; trying again"));
                    stream.pause().await;
                }
                Next::Ended => {
                    ended = client.run(run).await?.summary.state.is_final();
                    stream.pause().await;
                }
            },
            Some(done) = tails.reading.join_next() => tails.end(done)?,
        }
    }
    while let Some(done) = tails.reading.join_next().await {
        tails.end(done)?;
    }
    Ok(())
}

type Done = Result<Result<(), Error>, tokio::task::JoinError>;

struct Tails {
    client: Client,
    output: Output,
    reading: JoinSet<Result<(), Error>>,
    begun: BTreeSet<(StepAddress, Option<u32>)>,
}

impl Tails {
    fn new(client: Client, output: Output) -> Self {
        Self { client, output, reading: JoinSet::new(), begun: BTreeSet::new() }
    }

    /// Follows what an event says has begun; true once the run has ended.
    fn take(&mut self, run: RunId, kind: &EventKind) -> bool {
        match kind {
            EventKind::Run { state, .. } => return state.is_final(),
            EventKind::Started { address, step, attempt, .. }
            | EventKind::Step { address, step, state: StepState::Live, attempt, .. } => {
                let attempt = Some(*attempt).filter(|number| *number > 0);
                self.begin(Named { id: step.clone(), of: LogOf { run, step: *address, attempt } });
            }
            EventKind::Step { .. } => {}
        }
        false
    }

    fn begin(&mut self, named: Named) {
        if !self.begun.insert((named.of.step, named.of.attempt)) {
            return;
        }
        if self.reading.len() >= STREAMS_MAX {
            self.output
                .talk(&format!("[{}] is not followed: {STREAMS_MAX} steps are already", named.id));
            return;
        }
        let (client, output) = (self.client.clone(), self.output);
        self.reading.spawn(async move {
            print::prefixed(client.log(named.of, true).await?, &named.id, output).await
        });
    }

    /// One output has ended. That one broke off is said, and the others go on; that nobody reads
    /// ours any more ends them all.
    fn end(&self, done: Done) -> Result<(), Error> {
        match done {
            Ok(Err(error @ Error::Stdout(_))) => Err(error),
            Ok(Err(Error::Client(error))) if error.exit() == crate::exit::Exit::NotFound => Ok(()),
            Ok(Err(error)) => {
                self.output.error(&error);
                Ok(())
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

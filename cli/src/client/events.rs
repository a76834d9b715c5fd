//! `…/runs/{run}/events`: what happens to a run, as it happens.
//!
//! A connection that breaks is made again from the last batch that was seen; an event may come
//! twice then, and whoever folds it must bear that.

use std::collections::VecDeque;
use std::time::Duration;

use maestro_schemas::event::Event;
use maestro_schemas::id::RunId;
use maestro_schemas::sse::{EVENT_BYTES_MAX, Oversized, Parser};
use reqwest::{Method, Response};
use tokio::time::{sleep, timeout};

use super::{Client, Error};

/// The server sends a comment every 15 s: a connection that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// How often in a row a connection may fail before the error is the caller's.
const FAILURES_MAX: u32 = 8;

/// The events of one run, from a batch on.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    run: RunId,
    batch: u64,
    connection: Option<(Response, Parser)>,
    ready: VecDeque<(Event, Option<u64>)>,
    failures: u32,
}

/// What comes next.
#[derive(Debug)]
pub enum Next {
    /// Something happened.
    Event(Box<Event>),
    /// The stream ended: the run has ended, or the server wants to be asked again.
    Ended,
    /// The connection broke and will be made again: for the viewer to say.
    Lost(Error),
}

impl Client {
    /// The events after `batch`. Nothing is asked before the first [`EventStream::next`].
    pub fn events(&self, run: RunId, batch: u64) -> EventStream {
        EventStream {
            client: self.clone(),
            run,
            batch,
            connection: None,
            ready: VecDeque::new(),
            failures: 0,
        }
    }
}

impl EventStream {
    /// Waits for what comes next. May be dropped and called again: no event is lost by that.
    pub async fn next(&mut self) -> Result<Next, Error> {
        loop {
            if let Some((event, id)) = self.ready.pop_front() {
                // Only the last event of a batch bears its id: one cut short is told again.
                self.batch = id.unwrap_or(self.batch);
                return Ok(Next::Event(Box::new(event)));
            }
            match self.fill().await {
                Ok(true) => {}
                Ok(false) => {
                    self.connection = None;
                    return Ok(Next::Ended);
                }
                Err(error) => return self.lost(error),
            }
        }
    }

    /// Waits before the connection is made again after [`Next::Lost`] or [`Next::Ended`].
    pub async fn pause(&self) {
        sleep(Duration::from_millis(250 << self.failures.min(5))).await;
    }

    fn lost(&mut self, error: Error) -> Result<Next, Error> {
        self.connection = None;
        self.failures += 1;
        if error.is_passing() && self.failures <= FAILURES_MAX {
            Ok(Next::Lost(error))
        } else {
            Err(error)
        }
    }

    /// Reads once; false at the stream's end.
    async fn fill(&mut self) -> Result<bool, Error> {
        if self.connection.is_none() {
            self.connection = Some((self.connect().await?, Parser::default()));
        }
        let Some((response, parser)) = &mut self.connection else { return Ok(true) };
        let chunk = match timeout(SILENCE_MAX, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|source| self.client.broken(source))?,
            // Silence is a loss like any other: the next connection resumes.
            Err(_) => {
                self.connection = None;
                return Ok(true);
            }
        };
        let Some(chunk) = chunk else { return Ok(false) };
        let messages = parser.feed(&chunk).map_err(|Oversized| {
            let server = self.client.address().as_str().to_owned();
            Error::TooLarge { server, most: EVENT_BYTES_MAX }
        })?;
        self.failures = 0;
        // What does not decode is of a newer server; the rows, read at the end, are the truth.
        self.ready.extend(messages.into_iter().filter_map(|message| {
            let id = message.id.and_then(|id| id.parse().ok());
            Some((serde_json::from_str(&message.data).ok()?, id))
        }));
        Ok(true)
    }

    async fn connect(&self) -> Result<Response, Error> {
        let request = self
            .client
            .stream(Method::GET, &self.client.of_run(self.run, "/events"))
            .header("accept", "text/event-stream")
            .header("last-event-id", self.batch);
        self.client.send(request).await
    }
}

//! Reads an attempt's output: the artifact once it has ended, what the bus has while it runs.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use maestro_evidence::store::Reader;
use maestro_schemas::artifact::LOG_ROLE;
use maestro_schemas::codec;
use maestro_schemas::control::LogChunk;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::StepAddress;
use maestro_streams::fetch::tail::{From, Tail, Tailed};
use maestro_streams::topology::{log_stream, subject};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use super::{App, Error};
use crate::store::{attempt, run, step};

/// How often the rows are asked whether the attempt has ended.
const LOOK: Duration = Duration::from_secs(1);
/// Pieces that wait for a slow reader.
const BUFFER: usize = 64;

/// Which output is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOf {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's number; the last one where none is given.
    pub attempt: Option<u32>,
}

/// An attempt's output as it comes.
pub enum Log {
    /// The whole of it.
    Whole(Box<Reader>),
    /// What the attempt wrote and, where that was asked for, what it goes on to write.
    Live(ReceiverStream<Bytes>),
    /// It wrote nothing.
    Empty,
}

impl Log {
    /// The bytes.
    pub fn into_stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
        match self {
            Self::Whole(reader) => {
                reader.into_stream().map(|read| read.map_err(std::io::Error::other)).boxed()
            }
            Self::Live(pieces) => pieces.map(Ok).boxed(),
            Self::Empty => futures::stream::empty().boxed(),
        }
    }
}

impl App {
    /// Opens the output; with `follow`, of a live attempt too until it ends.
    pub async fn read_log(
        &self,
        project: &ProjectName,
        of: LogOf,
        follow: bool,
    ) -> Result<Log, Error> {
        let head = run::head(&self.pool, project, of.run).await?;
        head.ok_or_else(|| Error::not_found("run", of.run))?;
        let live = step::one_live(&self.pool, of.run, of.step).await?;
        let number = of.attempt.or(live);
        if let (Some(number), Some(live)) = (number, live)
            && number == live
        {
            return self.tail(of, number, follow).await;
        }
        self.kept(of).await
    }

    async fn kept(&self, of: LogOf) -> Result<Log, Error> {
        let ended = attempt::one(&self.pool, of.run, of.step, of.attempt).await?;
        let ended = ended.ok_or_else(|| Error::not_found("attempt of step", of.step))?;
        let Some(log) = ended.artifacts.iter().find(|artifact| artifact.role == LOG_ROLE) else {
            return Ok(Log::Empty);
        };
        match self.objects.reader(log.digest).await {
            Err(error) if error.lost().is_some() => Err(Error::not_found("object", log.digest)),
            opened => Ok(Log::Whole(Box::new(opened?))),
        }
    }

    async fn tail(&self, of: LogOf, number: u32, follow: bool) -> Result<Log, Error> {
        let filter = subject::logs(of.run, Some(of.step));
        let opened =
            Tail::open(self.bus.connection(), &log_stream(), &filter, From::Beginning).await;
        let (tail, stored) = opened.map_err(|error| {
            tracing::warn!(%error, "a live log cannot be opened");
            Error::Unavailable("the bus does not give live output now; try again later")
        })?;
        let (tell, pieces) = mpsc::channel(BUFFER);
        let reader = LiveLog { app: self.clone(), of, number, follow, seen: Seen::default(), tell };
        tokio::spawn(reader.read(tail, stored));
        Ok(Log::Live(ReceiverStream::new(pieces)))
    }
}

struct LiveLog {
    app: App,
    of: LogOf,
    number: u32,
    follow: bool,
    seen: Seen,
    tell: mpsc::Sender<Bytes>,
}

impl LiveLog {
    async fn read(mut self, mut tail: Tail, stored: u64) {
        if stored > 0 || self.follow {
            self.pass_on(&mut tail).await;
        }
        tail.close().await;
    }

    async fn pass_on(&mut self, tail: &mut Tail) {
        loop {
            let next = tokio::select! {
                next = timeout(LOOK, tail.next()) => next,
                () = self.tell.closed() => return,
            };
            match next {
                Ok(None) => return,
                Ok(Some(tailed)) => {
                    let last = self.take(&tailed).await;
                    if last || (!self.follow && tailed.pending == 0) {
                        return;
                    }
                }
                // Nothing came for a while: the last piece may have been lost.
                Err(_) if !self.follow || self.has_ended().await => return,
                Err(_) => {}
            }
        }
    }

    /// Passes one piece on; true where nothing follows it.
    async fn take(&mut self, tailed: &Tailed) -> bool {
        let Some(address) = subject::LogAddress::parse(&tailed.subject) else { return false };
        let Ok(chunk) = codec::decode::<LogChunk>(&tailed.payload) else { return false };
        if address.attempt != self.number {
            return false;
        }
        let last = chunk.last;
        for bytes in self.seen.take(address.execution, chunk) {
            if self.tell.send(bytes).await.is_err() {
                return true;
            }
        }
        last
    }

    async fn has_ended(&self) -> bool {
        let row = attempt::one(&self.app.pool, self.of.run, self.of.step, Some(self.number)).await;
        !matches!(row, Ok(None))
    }
}

/// How much of which execution's output was passed on.
#[derive(Debug, Default)]
struct Seen {
    execution: Option<ExecutionId>,
    position: u64,
}

impl Seen {
    /// What is new in a piece, and a line where something is missing.
    fn take(&mut self, execution: ExecutionId, chunk: LogChunk) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::new();
        if self.execution.is_some_and(|former| former != execution) {
            pieces.push_back(Bytes::from_static(
                b"\n[the attempt begins again in another worker's hands]\n",
            ));
            self.position = 0;
        }
        self.execution = Some(execution);
        let known = self.position.saturating_sub(chunk.offset);
        let missing = chunk.offset.saturating_sub(self.position);
        if missing > 0 {
            let line = format!(
                "\n[{missing} bytes were lost on their way; the whole output is kept when the attempt ends]\n"
            );
            pieces.push_back(line.into());
        }
        let mut bytes = Bytes::from(chunk.bytes);
        let end = chunk.offset.saturating_add(bytes.len() as u64);
        let fresh = bytes.split_off(usize::try_from(known).unwrap_or(usize::MAX).min(bytes.len()));
        self.position = self.position.max(end);
        if !fresh.is_empty() {
            pieces.push_back(fresh);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, bytes: &str) -> LogChunk {
        LogChunk { number: 0, offset, bytes: bytes.as_bytes().to_vec(), last: false }
    }

    fn text(pieces: VecDeque<Bytes>) -> String {
        pieces.iter().map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    }

    #[test]
    fn what_comes_twice_is_passed_on_once_and_a_gap_is_said() {
        let mut seen = Seen::default();
        let one = ExecutionId::generate();
        assert_eq!(text(seen.take(one, chunk(0, "hello "))), "hello ");
        assert_eq!(text(seen.take(one, chunk(0, "hello "))), "");
        assert_eq!(text(seen.take(one, chunk(3, "lo world"))), "world");
        assert!(text(seen.take(one, chunk(20, "!"))).contains("[9 bytes were lost"));
    }

    #[test]
    fn another_execution_begins_anew() {
        let mut seen = Seen::default();
        seen.take(ExecutionId::generate(), chunk(0, "hello"));
        let again = text(seen.take(ExecutionId::generate(), chunk(0, "hi")));
        assert!(again.contains("begins again") && again.ends_with("hi"), "{again}");
    }
}

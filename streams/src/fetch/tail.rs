//! Looking on: live logs and events in their order, without acks and without promise. What is
//! missed shows as a gap in the sequence; the rows and artifacts have it.

use std::collections::VecDeque;

use bytes::Bytes;
use maestro_schemas::id::ExecutionId;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::pull::{News, Pulls, Source};
use crate::api;
use crate::connect::{Connection, Error};
use crate::delivery::Delivery;
use crate::topology::subject::Subject;

const BATCH: u32 = 256;
/// How long the server keeps a tail's consumer that nobody asks.
const IDLE_MAX_NS: u64 = 60_000_000_000;

/// Where a tail begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// With the oldest message that the stream has.
    Beginning,
    /// With what comes after now.
    New,
}

/// A message that a tail saw.
#[derive(Debug, Clone)]
pub struct Tailed {
    /// Its subject.
    pub subject: Subject,
    /// Its number in the stream.
    pub sequence: u64,
    /// How many messages of the filter follow that are stored already.
    pub pending: u64,
    /// Its bytes.
    pub payload: Bytes,
}

/// A look at a stream.
pub struct Tail {
    connection: Connection,
    reconnects: watch::Receiver<u64>,
    stream: String,
    filter: String,
    consumer: String,
    last_sequence: u64,
    pulls: Pulls<()>,
    seen: VecDeque<Tailed>,
}

impl Tail {
    /// Looks at what `filter` names in `stream`. Also answers how many such messages there are by
    /// now: 0 means that the first one is still to come.
    pub async fn open(
        connection: &Connection,
        stream: &str,
        filter: &Subject,
        from: From,
    ) -> Result<(Self, u64), OpenError> {
        let mut tail = Self {
            connection: connection.clone(),
            reconnects: connection.reconnects(),
            stream: stream.to_owned(),
            filter: filter.to_string(),
            consumer: String::new(),
            last_sequence: 0,
            pulls: Pulls::open(connection).await?,
            seen: VecDeque::new(),
        };
        let begin = match from {
            From::Beginning => json!({ "deliver_policy": "all" }),
            From::New => json!({ "deliver_policy": "new" }),
        };
        let waiting = tail.begin(begin).await?;
        Ok((tail, waiting))
    }

    /// The next message; waits until there is one. `None` when the connection is closed.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Option<Tailed> {
        loop {
            if let Some(tailed) = self.seen.pop_front() {
                return Some(tailed);
            }
            tokio::select! {
                news = self.pulls.next() => self.absorb(news?).await,
                changed = self.reconnects.changed() => {
                    changed.ok()?;
                    self.resume().await;
                }
            }
        }
    }

    async fn absorb(&mut self, news: VecDeque<News<()>>) {
        let mut gone = false;
        for item in news {
            let News::Message((), message) = item else {
                gone = true;
                continue;
            };
            let delivery = Delivery::read(message, &self.connection);
            if let Some(delivery) = delivery.filter(|new| new.sequence > self.last_sequence) {
                self.last_sequence = delivery.sequence;
                self.seen.push_back(Tailed {
                    subject: delivery.subject,
                    sequence: delivery.sequence,
                    pending: delivery.pending,
                    payload: delivery.payload,
                });
            }
        }
        if gone {
            self.resume().await;
        }
    }

    async fn resume(&mut self) {
        let begin = json!({
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self.last_sequence + 1,
        });
        // Where the bus does not answer now, the pull is refused again and brings us back here.
        if let Err(error) = self.begin(begin).await {
            tracing::debug!(%error, "a tail cannot go on yet");
        }
    }

    async fn begin(&mut self, mut config: Value) -> Result<u64, api::Error> {
        let consumer = format!("tail-{}", ExecutionId::generate().token());
        let more = json!({
            "name": consumer,
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": self.filter,
            "inactive_threshold": IDLE_MAX_NS,
            "mem_storage": true,
            "num_replicas": 1,
        });
        if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
            config.extend(more);
        }
        let what = format!("CONSUMER.CREATE.{}.{consumer}.{}", self.stream, self.filter);
        let body = json!({ "stream_name": self.stream, "config": config, "action": "create" });
        let info: Value = api::ask(&self.connection, &what, &body).await?;
        self.pulls.add(Source {
            key: (),
            stream: self.stream.clone(),
            consumer: consumer.clone(),
            batch: BATCH,
        });
        self.consumer = consumer;
        Ok(info.get("num_pending").and_then(Value::as_u64).unwrap_or(0))
    }

    /// Ends the look; else the server forgets it after a minute.
    pub async fn close(self) {
        let what = format!("CONSUMER.DELETE.{}.{}", self.stream, self.consumer);
        if let Err(error) = api::ask::<Value>(&self.connection, &what, &Value::Null).await {
            tracing::debug!(%error, "a tail's consumer stays until it is idle");
        }
    }
}

/// Why one cannot look at a stream.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection is down.
    #[error("a tail cannot be opened")]
    Connect(#[from] Error),
    /// The stream is not there, or may not be looked at.
    #[error("a tail cannot be opened")]
    Api(#[from] api::Error),
}

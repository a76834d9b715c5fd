//! Confirmed publishing: pipelined, at most [`UNACKED_MAX`] un-acked, one reply inbox for all.
//!
//! Permits are taken before a message is sent and given back **where confirmations arrive**, never
//! by whoever awaits a result: else callers that gather results before they await them would stop
//! for ever once their sum reaches the limit. The test `a_fan_out_above_the_limit_drains` keeps it.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{HeaderMap, Message, StatusCode};
use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::Instant;

use crate::connect::{Connection, Error};
use crate::ready;
use crate::topology::subject::Subject;

/// How many publishes may be un-acked together; more would starve the consumers.
pub const UNACKED_MAX: usize = 1_024;
/// How long a confirmation may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

const EXPIRY_TICK: Duration = Duration::from_millis(250);
const MESSAGE_ID_HEADER: &str = "Nats-Msg-Id";

/// What became of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishResult {
    /// The stream has it.
    Accepted,
    /// The stream had it before: the subject's one message is there, or the id was seen.
    AlreadyThere,
    /// The stream or the server is full; try again later.
    Full,
    /// No stream takes the subject, or JetStream is away.
    NoStream,
    /// No confirmation came in time; the stream may have it or not.
    TimedOut,
    /// The connection is down; the stream may have it or not.
    Disconnected,
    /// The server will never take it, in its words.
    Refused(String),
}

impl PublishResult {
    /// Whether the stream has it.
    pub const fn is_there(&self) -> bool {
        matches!(self, Self::Accepted | Self::AlreadyThere)
    }
}

/// Publishes with confirmation; clones share the limit and the reply inbox.
#[derive(Clone)]
pub struct Publisher {
    state: Arc<State>,
    _reader: Arc<Reader>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("connection", &self.state.connection)
            .finish_non_exhaustive()
    }
}

struct State {
    connection: Connection,
    prefix: String,
    permits: Semaphore,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    number: u64,
    waiters: HashMap<u64, Waiter>,
    /// In order of number, and so of time: all wait equally long.
    expiries: VecDeque<(Instant, u64)>,
}

enum Waiter {
    One(oneshot::Sender<PublishResult>),
    OfBatch(Arc<Batch>, usize),
}

/// The results of a batch, awaited once for all of them.
struct Batch {
    results: Mutex<(Vec<Option<PublishResult>>, usize)>,
    done: Notify,
}

struct Reader(tokio::task::JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Publisher {
    /// A publisher of its own reply inbox and limit on `connection`.
    pub async fn open(connection: &Connection) -> Result<Self, Error> {
        let prefix = format!("{}.", connection.new_inbox());
        let subscriber = connection.subscriber(&format!("{prefix}*")).await?;
        let state = Arc::new(State {
            connection: connection.clone(),
            prefix,
            permits: Semaphore::new(UNACKED_MAX),
            waiting: Mutex::default(),
        });
        let reader = tokio::spawn(read_confirmations(Arc::clone(&state), subscriber));
        Ok(Self { state, _reader: Arc::new(Reader(reader)) })
    }

    /// Publishes one message; done when the server has confirmed or refused it.
    pub async fn publish(&self, subject: Subject, bytes: Bytes) -> PublishResult {
        self.publish_one(subject, None, bytes).await
    }

    /// Publishes one message that the stream takes once in its dedupe window.
    pub async fn publish_with_id(&self, subject: Subject, bytes: Bytes, id: &str) -> PublishResult {
        let mut headers = HeaderMap::new();
        headers.insert(MESSAGE_ID_HEADER, id);
        self.publish_one(subject, Some(headers), bytes).await
    }

    pub(crate) async fn publish_one(
        &self,
        subject: Subject,
        headers: Option<HeaderMap>,
        bytes: Bytes,
    ) -> PublishResult {
        let (sender, result) = oneshot::channel();
        let waiter = Waiter::One(sender);
        self.state.send(subject, headers, bytes, waiter).await;
        result.await.unwrap_or(PublishResult::Disconnected)
    }

    /// Publishes many, pipelined; the results come in the same order, when all are there.
    pub async fn publish_all<K>(
        &self,
        messages: Vec<(K, Subject, Bytes)>,
    ) -> Vec<(K, PublishResult)> {
        let batch = Arc::new(Batch::new(messages.len()));
        let mut keys = Vec::with_capacity(messages.len());
        for (index, (key, subject, bytes)) in messages.into_iter().enumerate() {
            keys.push(key);
            let waiter = Waiter::OfBatch(Arc::clone(&batch), index);
            self.state.send(subject, None, bytes, waiter).await;
        }
        keys.into_iter().zip(batch.results().await).collect()
    }
}

impl State {
    async fn send(
        &self,
        subject: Subject,
        headers: Option<HeaderMap>,
        bytes: Bytes,
        waiter: Waiter,
    ) {
        if !self.connection.is_connected() {
            return waiter.resolve(PublishResult::Disconnected);
        }
        let Ok(permit) = self.permits.acquire().await else {
            return waiter.resolve(PublishResult::Disconnected);
        };
        permit.forget();
        let number = self.register(waiter);
        let reply = format!("{}{number}", self.prefix);
        let client = self.connection.client();
        let sent = async {
            match headers {
                None => client.publish_with_reply(subject, reply, bytes).await,
                Some(headers) => {
                    client.publish_with_reply_and_headers(subject, reply, headers, bytes).await
                }
            }
        };
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.resolve(number, unsent(&error)),
            Err(_) => self.resolve(number, PublishResult::Disconnected),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, waiter: Waiter) -> u64 {
        let mut waiting = self.waiting();
        waiting.number += 1;
        let number = waiting.number;
        waiting.waiters.insert(number, waiter);
        waiting.expiries.push_back((Instant::now() + PATIENCE, number));
        number
    }

    /// The one place where a permit comes back.
    fn resolve(&self, number: u64, result: PublishResult) {
        let waiter = self.waiting().waiters.remove(&number);
        if let Some(waiter) = waiter {
            self.permits.add_permits(1);
            waiter.resolve(result);
        }
    }

    fn confirmed(&self, message: &Message) {
        let number = message.subject.get(self.prefix.len()..);
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            self.resolve(number, read(message));
        }
    }

    fn expire(&self, now: Instant) {
        for number in self.expired(now) {
            self.resolve(number, PublishResult::TimedOut);
        }
    }

    fn expired(&self, now: Instant) -> Vec<u64> {
        let mut waiting = self.waiting();
        let due = waiting.expiries.partition_point(|(at, _)| *at <= now);
        waiting.expiries.drain(..due).map(|(_, number)| number).collect()
    }

    fn disconnected(&self) {
        let numbers: Vec<u64> = self.waiting().waiters.keys().copied().collect();
        for number in numbers {
            self.resolve(number, PublishResult::Disconnected);
        }
    }
}

impl Waiter {
    fn resolve(self, result: PublishResult) {
        match self {
            // Whoever asked may have gone.
            Self::One(sender) => drop(sender.send(result)),
            Self::OfBatch(batch, index) => batch.resolve(index, result),
        }
    }
}

impl Batch {
    fn new(size: usize) -> Self {
        Self { results: Mutex::new((vec![None; size], size)), done: Notify::new() }
    }

    fn resolve(&self, index: usize, result: PublishResult) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = results.0.get_mut(index) {
            *slot = Some(result);
            results.1 = results.1.saturating_sub(1);
        }
        if results.1 == 0 {
            self.done.notify_one();
        }
    }

    async fn results(&self) -> Vec<PublishResult> {
        loop {
            if let Some(results) = self.take() {
                return results;
            }
            self.done.notified().await;
        }
    }

    fn take(&self) -> Option<Vec<PublishResult>> {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        (results.1 == 0).then(|| {
            std::mem::take(&mut results.0)
                .into_iter()
                .map(|result| result.unwrap_or(PublishResult::TimedOut))
                .collect()
        })
    }
}

async fn read_confirmations(state: Arc<State>, mut subscriber: async_nats::Subscriber) {
    let mut link = state.connection.link();
    let mut tick = tokio::time::interval(EXPIRY_TICK);
    loop {
        tokio::select! {
            got = ready::read(&mut subscriber, UNACKED_MAX) => match got {
                Some(messages) => messages.iter().for_each(|message| state.confirmed(message)),
                None => return state.disconnected(),
            },
            _ = tick.tick() => state.expire(Instant::now()),
            changed = link.changed() => match changed {
                Ok(()) if link.borrow_and_update().connected => {}
                Ok(()) => state.disconnected(),
                Err(_) => return state.disconnected(),
            },
        }
        // Reads are outside tokio's budget, so that the others get their turn here.
        tokio::task::yield_now().await;
    }
}

fn unsent(error: &async_nats::PublishError) -> PublishResult {
    match error.kind() {
        async_nats::client::PublishErrorKind::MaxPayloadExceeded => {
            PublishResult::Refused("the message is larger than the server's max_payload".to_owned())
        }
        async_nats::client::PublishErrorKind::InvalidSubject => {
            PublishResult::Refused("the subject is invalid".to_owned())
        }
        async_nats::client::PublishErrorKind::Send => PublishResult::Disconnected,
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn read(message: &Message) -> PublishResult {
    if message.status == Some(StatusCode::NO_RESPONDERS) {
        return PublishResult::NoStream;
    }
    if !contains(&message.payload, "\"error\"") {
        return match contains(&message.payload, "\"duplicate\"") {
            true => PublishResult::AlreadyThere,
            false => PublishResult::Accepted,
        };
    }
    refusal(&message.payload)
}

fn refusal(payload: &[u8]) -> PublishResult {
    let answer: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
    let error = answer.get("error");
    let number = |field| {
        let value = error.and_then(|error| error.get(field));
        value.and_then(serde_json::Value::as_u64).unwrap_or(0)
    };
    let description = error
        .and_then(|error| error.get("description"))
        .and_then(serde_json::Value::as_str)
        .unwrap_or("no reason given");
    match (number("code"), number("err_code")) {
        // One number for three things; only the words tell them apart.
        (_, 10_077) if description.contains("per subject") => PublishResult::AlreadyThere,
        (_, 10_077 | 10_047 | 10_023 | 10_002) | (429 | 503, _) => PublishResult::Full,
        (_, 10_059) => PublishResult::NoStream,
        _ => PublishResult::Refused(description.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(number: u64, description: &str) -> PublishResult {
        let answer = serde_json::json!({ "error": { "code": 400, "err_code": number, "description": description } });
        refusal(answer.to_string().as_bytes())
    }

    #[test]
    fn one_error_number_means_three_things() {
        assert_eq!(
            refused(10_077, "maximum messages per subject exceeded"),
            PublishResult::AlreadyThere
        );
        assert_eq!(refused(10_077, "maximum messages exceeded"), PublishResult::Full);
        assert_eq!(refused(10_077, "maximum bytes exceeded"), PublishResult::Full);
        assert!(matches!(
            refused(10_054, "message size exceeds maximum allowed"),
            PublishResult::Refused(_)
        ));
    }
}

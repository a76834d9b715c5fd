//! Questions with one answer each: a reply inbox of our own, and a waiter for each question.
//!
//! A waiter is removed when its question is given up, so that time-outs leave nothing behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Subject};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::sync::oneshot;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    TimedOut,
    /// Nobody listens on the subject.
    #[error("nobody listens")]
    NobodyListens,
    /// The connection to the bus is down.
    #[error("the connection to the bus is down")]
    Disconnected,
}

/// What is asked.
pub(crate) struct Question {
    pub(crate) subject: Subject,
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) payload: Bytes,
}

type Waiters = Mutex<(u64, HashMap<u64, oneshot::Sender<Message>>)>;

pub(crate) struct Requests {
    prefix: String,
    waiters: Arc<Waiters>,
    reader: tokio::task::JoinHandle<()>,
}

/// Removes its waiter when the question is answered or given up.
struct Asked<'a> {
    waiters: &'a Waiters,
    number: u64,
}

impl Requests {
    pub(crate) async fn open(client: &Client) -> Result<Self, Error> {
        let prefix = format!("{}.", client.new_inbox());
        let mut subscriber =
            client.subscribe(format!("{prefix}*")).await.map_err(|_| Error::Disconnected)?;
        let waiters = Arc::new(Waiters::default());
        let (answered, start) = (Arc::clone(&waiters), prefix.len());
        let reader = tokio::spawn(async move {
            while let Some(message) = subscriber.next().await {
                let number = message.subject.get(start..).and_then(|n| n.parse().ok());
                if let Some(waiter) = number.and_then(|number| remove(&answered, number)) {
                    // The question may have been given up this instant.
                    let _ = waiter.send(message);
                }
            }
        });
        Ok(Self { prefix, waiters, reader })
    }

    pub(crate) async fn ask(
        &self,
        client: &Client,
        question: Question,
        within: Duration,
    ) -> Result<Message, Error> {
        let (sender, answer) = oneshot::channel();
        let asked = self.register(sender);
        let reply = format!("{}{}", self.prefix, asked.number);
        let Question { subject, headers, payload } = question;
        let sent_and_answered = async {
            let sent = match headers {
                None => client.publish_with_reply(subject, reply, payload).await,
                Some(headers) => {
                    client.publish_with_reply_and_headers(subject, reply, headers, payload).await
                }
            };
            sent.map_err(|_| Error::Disconnected)?;
            answer.await.map_err(|_| Error::Disconnected)
        };
        let message = tokio::time::timeout(within, sent_and_answered)
            .await
            .map_err(|_| Error::TimedOut)??;
        match message.status {
            Some(async_nats::StatusCode::NO_RESPONDERS) => Err(Error::NobodyListens),
            _ => Ok(message),
        }
    }

    fn register(&self, sender: oneshot::Sender<Message>) -> Asked<'_> {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.0 += 1;
        let number = waiters.0;
        waiters.1.insert(number, sender);
        Asked { waiters: &self.waiters, number }
    }
}

fn remove(waiters: &Waiters, number: u64) -> Option<oneshot::Sender<Message>> {
    let mut waiters = waiters.lock().unwrap_or_else(PoisonError::into_inner);
    waiters.1.remove(&number)
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        remove(self.waiters, self.number);
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

//! Standing pulls: several consumers read through one subscription, each kept asked for messages.
//!
//! A pull can be lost without a word (a lost connection, a new leader, a consumer that was
//! deleted), so each is asked for heartbeats, and asked anew when it is silent for two of them or
//! when the connection was made again. What arrives twice by that is the receiver's business.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::connect::{Connection, Error, Link};
use crate::delivery::AckInfo;
use crate::ready;

const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a pull waits after the bus refused it.
const PAUSE: Duration = Duration::from_millis(250);
/// How long messages on their way may take after their pull was withdrawn.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);
/// How many messages are read in one go.
const READ_MAX: usize = 1_024;

/// A consumer to be read.
#[derive(Debug, Clone)]
pub(crate) struct Source<K> {
    pub(crate) key: K,
    pub(crate) stream: String,
    pub(crate) consumer: String,
    /// How many messages may be asked for and not yet here.
    pub(crate) batch: u32,
}

/// What a pull brought.
pub(crate) enum News<K> {
    /// A message.
    Message(K, Message),
    /// The consumer is not there (or JetStream is not, for a moment).
    Gone(K),
}

struct Pull<K> {
    source: Source<K>,
    /// Tells a pull's statuses from those of the ones before it.
    generation: u64,
    outstanding: u32,
    heard_at: Instant,
    ask_at: Instant,
}

pub(crate) struct Pulls<K> {
    connection: Connection,
    inbox: String,
    subscriber: Subscriber,
    link: watch::Receiver<Link>,
    tick: Interval,
    generation: u64,
    asking: bool,
    pulls: Vec<Pull<K>>,
    news: VecDeque<News<K>>,
}

impl<K: Copy + PartialEq> Pulls<K> {
    pub(crate) async fn open(connection: &Connection) -> Result<Self, Error> {
        let inbox = format!("{}.", connection.new_inbox());
        let subscriber = connection.subscriber(&format!("{inbox}*")).await?;
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            connection: connection.clone(),
            inbox,
            subscriber,
            link: connection.link(),
            tick,
            generation: 0,
            asking: true,
            pulls: Vec::new(),
            news: VecDeque::new(),
        })
    }

    pub(crate) fn add(&mut self, source: Source<K>) {
        self.remove(source.key);
        self.generation += 1;
        let now = Instant::now();
        self.pulls.push(Pull {
            source,
            generation: self.generation,
            outstanding: 0,
            heard_at: now,
            ask_at: now,
        });
    }

    pub(crate) fn remove(&mut self, key: K) {
        self.pulls.retain(|pull| pull.source.key != key);
        self.news.retain(|news| match news {
            News::Message(of, _) | News::Gone(of) => *of != key,
        });
    }

    /// Whether consumers are asked for more.
    pub(crate) fn set_asking(&mut self, asking: bool) {
        self.asking = asking;
    }

    /// Withdraws what was asked for, and gives out what was on its way.
    pub(crate) async fn drain(&mut self) -> VecDeque<News<K>> {
        if self.subscriber.drain().await.is_ok() {
            let rest = async {
                while let Some(got) = ready::read(&mut self.subscriber, READ_MAX).await {
                    got.into_iter().for_each(|message| self.heard(message));
                }
            };
            if tokio::time::timeout(DRAIN_PATIENCE, rest).await.is_err() {
                tracing::debug!("a withdrawn pull did not end");
            }
        }
        std::mem::take(&mut self.news)
    }

    /// What came; waits until something did. `None` when the connection is closed. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<VecDeque<News<K>>> {
        loop {
            self.ask_where_due().await;
            if !self.news.is_empty() {
                return Some(std::mem::take(&mut self.news));
            }
            tokio::select! {
                got = ready::read(&mut self.subscriber, READ_MAX) => {
                    got?.into_iter().for_each(|message| self.heard(message));
                }
                changed = self.link.changed() => {
                    changed.ok()?;
                    self.start_anew();
                }
                _ = self.tick.tick() => self.watch(),
            }
        }
    }

    /// Asks each consumer that has given out half of what it was asked for.
    async fn ask_where_due(&mut self) {
        if !self.asking {
            return;
        }
        let now = Instant::now();
        for pull in &mut self.pulls {
            let wanted = pull.source.batch - pull.outstanding.min(pull.source.batch);
            if wanted == 0 || wanted < pull.source.batch.div_ceil(2) || now < pull.ask_at {
                continue;
            }
            let reply = format!("{}{}", self.inbox, pull.generation);
            let client = self.connection.client();
            let (subject, body) = request(&pull.source, wanted);
            if client.publish_with_reply(subject, reply, body).await.is_ok() {
                pull.outstanding += wanted;
                pull.heard_at = now;
            }
        }
    }

    fn heard(&mut self, message: Message) {
        match message.status {
            Some(status) if status != StatusCode::OK => self.heard_status(status, &message),
            _ => self.heard_message(message),
        }
    }

    fn heard_message(&mut self, message: Message) {
        let Some(info) = message.reply.as_deref().and_then(AckInfo::parse) else {
            return;
        };
        let from = |pull: &&mut Pull<K>| {
            pull.source.consumer == info.consumer && pull.source.stream == info.stream
        };
        // What a former consumer gave out is not ours any more.
        if let Some(pull) = self.pulls.iter_mut().find(from) {
            pull.outstanding = pull.outstanding.saturating_sub(1);
            pull.heard_at = Instant::now();
            self.news.push_back(News::Message(pull.source.key, message));
        }
    }

    fn heard_status(&mut self, status: StatusCode, message: &Message) {
        let generation = message.subject.get(self.inbox.len()..);
        let generation = generation.and_then(|text| text.parse::<u64>().ok());
        let of = |pull: &&mut Pull<K>| Some(pull.generation) == generation;
        let Some(pull) = self.pulls.iter_mut().find(of) else {
            return;
        };
        let now = Instant::now();
        pull.heard_at = now;
        match status {
            StatusCode::IDLE_HEARTBEAT => {}
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => {
                pull.outstanding = pull.outstanding.saturating_sub(undelivered(message));
            }
            // The consumer is not there, has moved or refuses: nothing of what was asked will come.
            _ => {
                self.generation += 1;
                pull.generation = self.generation;
                pull.outstanding = 0;
                pull.ask_at = now + PAUSE;
                if is_gone(status, message) {
                    self.news.push_back(News::Gone(pull.source.key));
                }
            }
        }
    }

    /// After a new connection nothing is left of what was asked.
    fn start_anew(&mut self) {
        if !self.link.borrow_and_update().connected {
            return;
        }
        for index in 0..self.pulls.len() {
            self.renew(index);
        }
    }

    fn watch(&mut self) {
        let now = Instant::now();
        let silent: Vec<usize> = self
            .pulls
            .iter()
            .enumerate()
            .filter(|(_, pull)| pull.outstanding > 0 && now > pull.heard_at + HEARTBEAT * 2)
            .map(|(index, _)| index)
            .collect();
        for index in silent {
            tracing::warn!("a consumer is silent; it is asked anew");
            self.renew(index);
        }
    }

    fn renew(&mut self, index: usize) {
        self.generation += 1;
        if let Some(pull) = self.pulls.get_mut(index) {
            let now = Instant::now();
            pull.generation = self.generation;
            pull.outstanding = 0;
            pull.heard_at = now;
            pull.ask_at = now;
        }
    }
}

fn request<K>(source: &Source<K>, batch: u32) -> (String, Bytes) {
    let Source { stream, consumer, .. } = source;
    let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
    let body = format!(r#"{{"batch":{batch},"expires":{expires},"idle_heartbeat":{heartbeat}}}"#);
    (next_subject(stream, consumer), body.into())
}

/// Where a consumer is asked for messages.
pub(crate) fn next_subject(stream: &str, consumer: &str) -> String {
    format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
}

/// How many of the messages that were asked for will not come, as a status says.
fn undelivered(message: &Message) -> u32 {
    message
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Pending-Messages"))
        .and_then(|value| value.as_str().parse().ok())
        .unwrap_or(u32::MAX)
}

fn is_gone(status: StatusCode, message: &Message) -> bool {
    let description = message.description.as_deref().unwrap_or_default();
    status == StatusCode::NO_RESPONDERS || description.contains("Consumer Deleted")
}

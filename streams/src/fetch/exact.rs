//! No task without a free slot: each priority is asked in turn for what is there, and only when
//! nothing is, all of them together for one task each.
//!
//! When the first of these arrives the other questions are withdrawn; what crosses that on its way
//! and finds no slot is given back at once.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use tokio::sync::watch;

use super::pull::next_subject;
use super::turn::Turn;
use crate::connect::{Connection, Error, Link};
use crate::delivery::Delivery;
use crate::ready;
use crate::topology::{priority_token, task_stream};

/// How long the questions of an idle worker stand.
const EXPIRES: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long an answer to "what is there" may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait where nobody has made the pool's stream yet, or the bus is away.
const PAUSE: Duration = Duration::from_millis(250);
const READ_MAX: usize = 256;

pub(crate) struct Exact {
    connection: Connection,
    stream: String,
    link: watch::Receiver<Link>,
    inbox: String,
    answers: Subscriber,
    asked: u64,
    waiting: Option<Waiting>,
    held: VecDeque<Delivery>,
    turn: Turn,
}

/// Questions that stand until a task comes.
struct Waiting {
    answers: Subscriber,
    open: usize,
}

/// How a question ended.
#[derive(PartialEq, Eq)]
enum Answered {
    InFull,
    NobodyThere,
}

impl Exact {
    pub(crate) async fn open(connection: &Connection, pool: &PoolName) -> Result<Self, Error> {
        let inbox = format!("{}.", connection.new_inbox());
        Ok(Self {
            connection: connection.clone(),
            stream: task_stream(pool),
            link: connection.link(),
            answers: connection.subscriber(&format!("{inbox}*")).await?,
            inbox,
            asked: 0,
            waiting: None,
            held: VecDeque::new(),
            turn: Turn::default(),
        })
    }

    pub(crate) async fn next(&mut self, free: usize) -> Option<Vec<Delivery>> {
        loop {
            if self.held.is_empty() && self.waiting.is_none() {
                self.look(free).await?;
            }
            if self.held.is_empty() {
                self.wait().await?;
            }
            if !self.held.is_empty() {
                return Some(self.serve(free).await);
            }
        }
    }

    async fn serve(&mut self, free: usize) -> Vec<Delivery> {
        while self.held.len() > free {
            if let Some(surplus) = self.held.back() {
                surplus.nak().await;
            }
            self.held.pop_back();
        }
        self.held.drain(..).collect()
    }

    /// Takes what is there, by priority, up to `free`.
    async fn look(&mut self, free: usize) -> Option<()> {
        let mut absent = 0;
        for rank in self.turn.take() {
            let wanted = free.saturating_sub(self.held.len());
            if wanted == 0 {
                return Some(());
            }
            self.asked += 1;
            let reply = format!("{}{}", self.inbox, self.asked);
            let body = format!(r#"{{"batch":{wanted},"no_wait":true}}"#);
            self.ask(rank, reply, body.into()).await;
            let answered = tokio::time::timeout(PATIENCE, self.answer(wanted)).await;
            match answered {
                Ok(None) => return None,
                Ok(Some(Answered::InFull)) => {}
                Ok(Some(Answered::NobodyThere)) | Err(_) => absent += 1,
            }
        }
        if absent == Priority::ALL.len() {
            tokio::time::sleep(PAUSE).await;
        }
        Some(())
    }

    async fn ask(&self, rank: usize, reply: String, body: Bytes) {
        let rank = u8::try_from(rank).unwrap_or(u8::MAX);
        let consumer = priority_token(Priority::from_rank(rank));
        let subject = next_subject(&self.stream, &consumer);
        let client = self.connection.client();
        // Unsent is unanswered: the time-out sees to it.
        let _ = client.publish_with_reply(subject, reply, body).await;
    }

    /// Reads until the last question is answered. What answers former ones is taken too.
    async fn answer(&mut self, wanted: usize) -> Option<Answered> {
        let full = self.held.len() + wanted;
        loop {
            let got = ready::read(&mut self.answers, READ_MAX).await?;
            let mut ended = None;
            for message in got {
                if is_status(&message) {
                    let of = message.subject.get(self.inbox.len()..);
                    if of.and_then(|of| of.parse().ok()) == Some(self.asked) {
                        ended = Some(end_of(&message));
                    }
                } else {
                    self.hold(message);
                }
            }
            match ended {
                Some(ended) => return Some(ended),
                None if self.held.len() >= full => return Some(Answered::InFull),
                None => {}
            }
        }
    }

    fn hold(&mut self, message: Message) {
        self.held.extend(Delivery::read(message, &self.connection));
    }

    /// Waits for a task of any priority, or for the questions to lapse.
    async fn wait(&mut self) -> Option<()> {
        if self.waiting.is_none() {
            self.waiting = Some(self.ask_all().await?);
        }
        let silence = tokio::time::sleep(HEARTBEAT * 2 + PATIENCE);
        let Some(waiting) = &mut self.waiting else {
            return Some(());
        };
        let got = tokio::select! {
            got = ready::read(&mut waiting.answers, READ_MAX) => got?,
            changed = self.link.changed() => {
                changed.ok()?;
                // Nothing is left of the questions after a new connection.
                self.waiting = None;
                return Some(());
            }
            () = silence => {
                self.waiting = None;
                return Some(());
            }
        };
        self.heard(got).await
    }

    async fn heard(&mut self, got: Vec<Message>) -> Option<()> {
        let mut absent = false;
        for message in got {
            match message.status {
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                _ if is_status(&message) => {
                    absent |= end_of(&message) == Answered::NobodyThere;
                    if let Some(waiting) = &mut self.waiting {
                        waiting.open = waiting.open.saturating_sub(1);
                    }
                }
                _ => self.hold(message),
            }
        }
        let lapsed = self.waiting.as_ref().is_none_or(|waiting| waiting.open == 0);
        // Where a consumer was just being made, some questions stand and others do not: all are
        // asked again.
        if !self.held.is_empty() || lapsed || absent {
            self.withdraw().await;
        }
        if self.held.is_empty() && absent {
            tokio::time::sleep(PAUSE).await;
        }
        Some(())
    }

    async fn ask_all(&mut self) -> Option<Waiting> {
        let inbox = format!("{}.", self.connection.new_inbox());
        let subscribed = self.connection.subscriber(&format!("{inbox}*")).await;
        let answers = subscribed.ok()?;
        let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
        let body = format!(r#"{{"batch":1,"expires":{expires},"idle_heartbeat":{heartbeat}}}"#);
        for rank in 0..Priority::ALL.len() {
            self.ask(rank, format!("{inbox}{rank}"), body.clone().into()).await;
        }
        Some(Waiting { answers, open: Priority::ALL.len() })
    }

    /// Ends the standing questions and takes what was on its way; losing it would cost it a
    /// delivery and `ack_wait`.
    async fn withdraw(&mut self) {
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        if waiting.answers.drain().await.is_err() {
            return;
        }
        let rest = async {
            while let Some(got) = ready::read(&mut waiting.answers, READ_MAX).await {
                for message in got.into_iter().filter(|message| !is_status(message)) {
                    self.held.extend(Delivery::read(message, &self.connection));
                }
            }
        };
        if tokio::time::timeout(PATIENCE, rest).await.is_err() {
            tracing::debug!("a withdrawn question did not end");
        }
    }

    pub(crate) async fn close(mut self) {
        self.withdraw().await;
        self.waiting = None;
        for delivery in &self.held {
            delivery.nak().await;
        }
    }
}

fn is_status(message: &Message) -> bool {
    message.status.is_some_and(|status| status != StatusCode::OK)
}

fn end_of(message: &Message) -> Answered {
    match message.status {
        Some(StatusCode::NOT_FOUND | StatusCode::TIMEOUT) => Answered::InFull,
        _ => Answered::NobodyThere,
    }
}

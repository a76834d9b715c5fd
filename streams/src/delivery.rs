//! One delivery of a message from a stream, and what its receiver says about it.

use std::time::Duration;

use async_nats::{Client, Message};
use bytes::Bytes;

use crate::connect::Connection;
use crate::topology::subject::Subject;

/// What the server tells in a delivery's reply subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AckInfo<'a> {
    pub(crate) stream: &'a str,
    pub(crate) consumer: &'a str,
    pub(crate) delivered: u32,
    pub(crate) sequence: u64,
    pub(crate) stored_at_ns: u64,
    pub(crate) pending: u64,
}

impl<'a> AckInfo<'a> {
    /// Reads `$JS.ACK.<stream>.…`, and the newer form with domain and account before the stream.
    pub(crate) fn parse(reply: &'a str) -> Option<Self> {
        let rest = reply.strip_prefix("$JS.ACK.")?;
        let extra = match rest.split('.').count() {
            7 => 0,
            9.. => 2,
            _ => return None,
        };
        let mut tokens = rest.split('.').skip(extra);
        let (stream, consumer) = (tokens.next()?, tokens.next()?);
        let delivered = tokens.next()?.parse().ok()?;
        let sequence = tokens.next()?.parse().ok()?;
        let _consumer_sequence = tokens.next()?;
        Some(Self {
            stream,
            consumer,
            delivered,
            sequence,
            stored_at_ns: tokens.next()?.parse().ok()?,
            pending: tokens.next()?.parse().ok()?,
        })
    }
}

/// One delivery of a message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The subject that it was published on.
    pub subject: Subject,
    /// Its bytes, from anyone permitted.
    pub payload: Bytes,
    /// The how-manieth delivery of the message this is, from 1; a hint.
    pub delivered: u32,
    /// The message's number in its stream; a hint.
    pub sequence: u64,
    /// How many messages the consumer has still to give out after this; a hint.
    pub pending: u64,
    /// When the stream took it, in milliseconds since 1970, by the server's clock.
    pub stored_at_ms: u64,
    /// The publisher's own id for it, where it gave one.
    pub message_id: Option<String>,
    pub(crate) reply: Subject,
    pub(crate) connection: Connection,
}

impl Delivery {
    /// Reads a message that came by a pull; `None` where it did not.
    pub(crate) fn read(message: Message, connection: &Connection) -> Option<Self> {
        let reply = message.reply?;
        let AckInfo { delivered, sequence, pending, stored_at_ns, .. } = AckInfo::parse(&reply)?;
        Some(Self {
            subject: message.subject,
            payload: message.payload,
            delivered,
            sequence,
            pending,
            stored_at_ms: stored_at_ns / 1_000_000,
            message_id: message
                .headers
                .as_ref()
                .and_then(|headers| headers.get("Nats-Msg-Id"))
                .map(|id| id.as_str().to_owned()),
            reply,
            connection: connection.clone(),
        })
    }

    /// Done with it: the message goes. Sent and not confirmed; where it gets lost the message
    /// comes again.
    pub async fn ack(&self) {
        say(self.connection.client(), &self.reply, Bytes::new()).await;
    }

    /// Never begun: somebody else may have it at once. Never used to try again later.
    pub async fn nak(&self) {
        say(self.connection.client(), &self.reply, Bytes::from_static(b"-NAK")).await;
    }

    /// Nobody can take it: the message goes, and the server tells why.
    pub async fn term(&self, reason: &str) {
        let words = format!("+TERM {}", crate::dead::one_line(reason));
        say(self.connection.client(), &self.reply, words.into()).await;
    }

    /// Still at it; whether the server heard it within `within`. When it did not for the
    /// consumer's `ack_wait`, somebody else may have the message.
    pub async fn in_progress(&self, within: Duration) -> bool {
        let words = Bytes::from_static(b"+WPI");
        self.connection.request(self.reply.clone(), words, within).await.is_ok()
    }

    /// Still at it, said without waiting for an answer.
    pub async fn in_progress_unconfirmed(&self) {
        say(self.connection.client(), &self.reply, Bytes::from_static(b"+WPI")).await;
    }
}

/// How long an ack may wait for a place in the queue to the socket.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) async fn say(client: &Client, reply: &Subject, words: Bytes) {
    let said = client.publish(reply.clone(), words);
    if !matches!(tokio::time::timeout(PATIENCE, said).await, Ok(Ok(()))) {
        tracing::debug!("an ack was lost; its message comes again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_ack_subject_are_read() {
        let expected = AckInfo {
            stream: "S",
            consumer: "c",
            delivered: 2,
            sequence: 30,
            stored_at_ns: 5_000_000,
            pending: 7,
        };
        assert_eq!(AckInfo::parse("$JS.ACK.S.c.2.30.4.5000000.7"), Some(expected));
        assert_eq!(AckInfo::parse("$JS.ACK._.abc.S.c.2.30.4.5000000.7"), Some(expected));
        assert_eq!(AckInfo::parse("$JS.ACK._.abc.S.c.2.30.4.5000000.7.rnd"), Some(expected));
        assert_eq!(AckInfo::parse("$JS.ACK.S.c"), None);
    }
}

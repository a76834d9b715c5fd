//! Reads all that a subscription holds, in one go.
//!
//! Tokio's cooperative budget would end a batch at about 128 messages; these reads are outside it,
//! bounded by their own limit instead.

use std::task::Poll;

use async_nats::{Message, Subscriber};
use futures::StreamExt as _;

/// Waits for one message and takes up to `max` that are there by then; `None` at the end.
///
/// Cancel-safe: nothing is taken before the moment in which it returns.
pub(crate) async fn read(subscriber: &mut Subscriber, max: usize) -> Option<Vec<Message>> {
    tokio::task::coop::unconstrained(std::future::poll_fn(|cx| {
        let mut got = Vec::new();
        loop {
            match subscriber.poll_next_unpin(cx) {
                Poll::Ready(Some(message)) => got.push(message),
                Poll::Ready(None) if got.is_empty() => return Poll::Ready(None),
                Poll::Pending if got.is_empty() => return Poll::Pending,
                Poll::Ready(None) | Poll::Pending => return Poll::Ready(Some(got)),
            }
            if got.len() >= max {
                return Poll::Ready(Some(got));
            }
        }
    }))
    .await
}

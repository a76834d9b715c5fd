//! A durable consumer that several processes share, as that of submissions: whoever reads a
//! message acks it when it is dealt with.

use super::pull::{News, Pulls, Source};
use crate::connect::{Connection, Error};
use crate::delivery::Delivery;

/// Reads a durable.
pub struct QueueReader {
    connection: Connection,
    pulls: Pulls<()>,
}

impl QueueReader {
    /// Reads `consumer` of `stream`, with at most `batch` messages on their way.
    pub async fn open(
        connection: &Connection,
        stream: &str,
        consumer: &str,
        batch: u32,
    ) -> Result<Self, Error> {
        let mut pulls = Pulls::open(connection).await?;
        pulls.add(Source {
            key: (),
            stream: stream.to_owned(),
            consumer: consumer.to_owned(),
            batch: batch.max(1),
        });
        Ok(Self { connection: connection.clone(), pulls })
    }

    /// What came; waits until something did. `None` when the connection is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Vec<Delivery>> {
        loop {
            let deliveries: Vec<Delivery> = self
                .pulls
                .next()
                .await?
                .into_iter()
                .filter_map(|news| match news {
                    News::Message((), message) => Delivery::read(message, &self.connection),
                    News::Gone(()) => None,
                })
                .collect();
            if !deliveries.is_empty() {
                return Some(deliveries);
            }
        }
    }
}

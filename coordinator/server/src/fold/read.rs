//! Reads inboxes: messages for the fold, in their order, and until when there were no others.

use std::collections::BTreeMap;

use maestro_engine::shard::request::{Completion, Delivery, DeliveryId};
use maestro_schemas::codec;
use maestro_streams::fetch::inbox::{InboxDelivery, InboxRead};

use super::{Loop, listen};
use crate::clock::now_ms;

impl Loop {
    pub(super) async fn read(&mut self, read: InboxRead) {
        match read {
            InboxRead::Batch(batch) => {
                let batch = self.lingering.take_in(batch);
                self.pulled(batch).await;
            }
            InboxRead::CaughtUp { shard } => {
                self.empty.insert(shard, true);
                self.is_empty(shard, now_ms()).await;
            }
            InboxRead::Rebuilt { shard } => {
                tracing::warn!(shard, "the inbox had vanished and was made anew");
                self.handle(Completion::Rebuilt { shard }).await;
            }
            InboxRead::Lost { shard, error } => {
                tracing::warn!(shard, %error, "the inbox cannot be read any more");
                self.stop_reading(shard);
                self.handle(Completion::Lost { shard }).await;
                self.lessee.lost(shard);
            }
        }
    }

    pub(super) fn stop_reading(&mut self, shard: u16) {
        self.empty.remove(&shard);
        self.reader.remove(shard);
        self.lingering.forget(shard);
    }

    /// Folds what was held back.
    pub(super) async fn pull_held(&mut self) {
        let held = self.lingering.take();
        self.pulled(held).await;
    }

    /// Says that inboxes which were found empty still are, after all that was read of them.
    pub(super) async fn pull_nothing(&mut self) {
        self.pull_held().await;
        let now = now_ms();
        let empty: Vec<u16> =
            self.empty.iter().filter(|(_, empty)| **empty).map(|(shard, _)| *shard).collect();
        for shard in empty {
            self.is_empty(shard, now).await;
        }
    }

    async fn is_empty(&mut self, shard: u16, now_ms: u64) {
        let read_past_ms = Some(now_ms);
        self.handle(Completion::Pulled { shard, deliveries: Vec::new(), read_past_ms }).await;
    }

    async fn pulled(&mut self, batch: Vec<InboxDelivery>) {
        let mut by_shard: BTreeMap<u16, (Vec<Delivery>, u64)> = BTreeMap::new();
        let now = now_ms();
        for delivery in batch {
            let empty = delivery.pending == 0;
            self.empty.insert(delivery.shard, empty);
            let past = if empty { now } else { delivery.stored_at_ms.min(now) };
            let (list, read_past) = by_shard.entry(delivery.shard).or_default();
            *read_past = past;
            list.push(self.decode(delivery));
        }
        for (shard, (deliveries, past)) in by_shard {
            self.handle(Completion::Pulled { shard, deliveries, read_past_ms: Some(past) }).await;
        }
    }

    fn decode(&mut self, delivery: InboxDelivery) -> Delivery {
        let message = match delivery.address {
            None => Err(format!("nobody of us builds the subject {}", delivery.subject.as_str())),
            Some(address) => codec::decode(&delivery.payload)
                .map_err(|error| error.to_string())
                .and_then(|message| listen::belongs(message, &address)),
        };
        if message.is_err() {
            self.unread.insert(delivery.id, (delivery.subject, delivery.payload));
        }
        Delivery { id: DeliveryId(delivery.id), message }
    }
}

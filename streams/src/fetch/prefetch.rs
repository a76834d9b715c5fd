//! Tasks held in advance: standing pulls on every priority, and a queue for each.

use std::collections::VecDeque;

use futures::FutureExt as _;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use tokio::time::Instant;

use super::pull::{News, Pulls, Source};
use super::turn::Turn;
use crate::connect::{Connection, Error};
use crate::delivery::Delivery;
use crate::topology::{TASK_RENEW, priority_token, task_stream};

pub(crate) struct Prefetch {
    connection: Connection,
    pulls: Pulls<usize>,
    queues: [VecDeque<Held>; 4],
    batch: usize,
    turn: Turn,
}

/// A task that waits for a slot.
struct Held {
    delivery: Delivery,
    renewed_at: Instant,
}

impl Prefetch {
    pub(crate) async fn open(
        connection: &Connection,
        pool: &PoolName,
        batch: u32,
    ) -> Result<Self, Error> {
        let mut pulls = Pulls::open(connection).await?;
        for priority in Priority::ALL {
            pulls.add(Source {
                key: usize::from(priority.rank()),
                stream: task_stream(pool),
                consumer: priority_token(priority),
                batch: batch.max(1),
            });
        }
        Ok(Self {
            connection: connection.clone(),
            pulls,
            queues: Default::default(),
            batch: usize::try_from(batch.max(1)).unwrap_or(usize::MAX),
            turn: Turn::default(),
        })
    }

    pub(crate) async fn next(&mut self, free: usize) -> Option<Vec<Delivery>> {
        if self.held() < self.batch {
            self.pulls.set_asking(true);
            self.absorb_what_is_there();
        }
        while self.held() == 0 {
            let news = self.pulls.next().await?;
            self.absorb(news);
        }
        Some(self.serve(free))
    }

    pub(crate) async fn renew_held(&mut self) {
        self.pulls.set_asking(false);
        self.absorb_what_is_there();
        let now = Instant::now();
        for held in self.queues.iter_mut().flatten() {
            if now >= held.renewed_at + TASK_RENEW {
                held.renewed_at = now;
                held.delivery.in_progress_unconfirmed().await;
            }
        }
    }

    pub(crate) async fn close(mut self) {
        self.pulls.set_asking(false);
        for message in self.pulls.drain().await {
            self.absorb(VecDeque::from([message]));
        }
        for held in self.queues.iter().flatten() {
            held.delivery.nak().await;
        }
    }

    fn held(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    fn absorb_what_is_there(&mut self) {
        while let Some(Some(news)) = self.pulls.next().now_or_never() {
            self.absorb(news);
            if self.held() >= self.batch {
                self.pulls.set_asking(false);
            }
        }
    }

    fn absorb(&mut self, news: VecDeque<News<usize>>) {
        let renewed_at = Instant::now();
        for item in news {
            let News::Message(rank, message) = item else {
                continue;
            };
            let delivery = Delivery::read(message, &self.connection);
            if let (Some(queue), Some(delivery)) = (self.queues.get_mut(rank), delivery) {
                queue.push_back(Held { delivery, renewed_at });
            }
        }
    }

    fn serve(&mut self, free: usize) -> Vec<Delivery> {
        let mut served = Vec::with_capacity(free.min(self.held()));
        while served.len() < free {
            let order = self.turn.take();
            let next = order.into_iter().find_map(|rank| {
                let queue = self.queues.get_mut(rank)?;
                queue.pop_front()
            });
            match next {
                Some(held) => served.push(held.delivery),
                None => break,
            }
        }
        served
    }
}

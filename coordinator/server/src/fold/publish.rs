//! Puts tasks on the bus: a publish that fails is repeated until it is there or withdrawn.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use maestro_engine::shard::request::{Completion, Publication, Published};
use maestro_schemas::codec;
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_streams::connect::Connection;
use maestro_streams::publish::{PublishResult, Publisher};
use maestro_streams::topology::{Topology, subject};
use maestro_streams::{Subject, admin, ensure};
use tokio::sync::{Mutex, mpsc};

use super::Shell;

/// The pause before what could not be published is tried again.
const AGAIN: Duration = Duration::from_millis(250);

/// How often a purge is tried; a task that outlives it is refused by the fold.
const PURGES_MAX: u32 = 5;

/// How many refusals are remembered; a forgotten one makes an acceptance no news.
const REFUSED_MAX: usize = 10_000;

type Key = (RunId, StepAddress, AttemptToken);

/// The publisher of tasks.
pub(super) struct Publishing {
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    Publish(Vec<Publication>),
    Withdraw(RunId, Option<(StepAddress, AttemptToken)>, Vec<PoolName>),
    Forget(u16),
}

struct State {
    publisher: Publisher,
    bus: Connection,
    topology: Topology,
    tell: mpsc::Sender<Completion>,
    /// Pools whose streams are known to be there.
    pools: Mutex<HashSet<PoolName>>,
    /// What the bus refused as already there, so that a later acceptance is news.
    refused: Mutex<HashSet<Key>>,
    /// What is tried again, while nobody withdraws it.
    waiting: Mutex<HashMap<Key, Publication>>,
}

impl Publishing {
    /// Starts the publisher; it ends when this value is dropped.
    pub(super) fn start(
        shell: &Shell,
        publisher: Publisher,
        tell: mpsc::Sender<Completion>,
    ) -> Self {
        let state = Arc::new(State {
            publisher,
            bus: shell.voice.clone(),
            topology: shell.topology.clone(),
            tell,
            pools: Mutex::default(),
            refused: Mutex::default(),
            waiting: Mutex::default(),
        });
        // Unbounded in form only: every entry is a live attempt, and those are bounded by windows.
        let (orders, mut inbox) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut again = tokio::time::interval(AGAIN);
            loop {
                tokio::select! {
                    order = inbox.recv() => match order {
                        None => return,
                        Some(Order::Publish(publications)) => {
                            tokio::spawn(Arc::clone(&state).publish(publications));
                        }
                        Some(Order::Withdraw(run, attempt, pools)) => {
                            state.forget(run, attempt).await;
                            tokio::spawn(Arc::clone(&state).purge(run, attempt, pools));
                        }
                        Some(Order::Forget(shard)) => {
                            state.waiting.lock().await.retain(|_, publication| publication.shard != shard);
                        }
                    },
                    _ = again.tick() => {
                        let waiting: Vec<Publication> = state.waiting.lock().await.values().cloned().collect();
                        if !waiting.is_empty() {
                            Arc::clone(&state).publish(waiting).await;
                        }
                    }
                }
            }
        });
        Self { orders }
    }

    /// Puts tasks on the bus.
    pub(super) fn publish(&self, publications: Vec<Publication>) {
        let _ = self.orders.send(Order::Publish(publications));
    }

    /// Tries nothing again that the owner of a shard decided: the shard was given up.
    pub(super) fn forget(&self, shard: u16) {
        let _ = self.orders.send(Order::Forget(shard));
    }

    /// Takes tasks off the bus, and publishes none of them again.
    pub(super) fn withdraw(
        &self,
        run: RunId,
        attempt: Option<(StepAddress, AttemptToken)>,
        pools: Vec<PoolName>,
    ) {
        let _ = self.orders.send(Order::Withdraw(run, attempt, pools));
    }
}

impl State {
    async fn publish(self: Arc<Self>, publications: Vec<Publication>) {
        self.ensure_pools(&publications).await;
        let wanted: Vec<(Publication, Subject, Bytes)> =
            publications.into_iter().filter_map(message).collect();
        for (publication, result) in self.publisher.publish_all(wanted).await {
            self.done(publication, result).await;
        }
    }

    async fn ensure_pools(&self, publications: &[Publication]) {
        let mut known = self.pools.lock().await;
        for pool in publications.iter().map(|publication| &publication.task.pool) {
            if known.contains(pool) {
                continue;
            }
            match ensure::ensure(&self.bus, &[self.topology.pool(pool)]).await {
                Ok(_) => {
                    known.insert(pool.clone());
                }
                Err(error) => {
                    tracing::warn!(%error, %pool, "the stream of a pool could not be made")
                }
            }
        }
    }

    async fn done(&self, publication: Publication, result: PublishResult) {
        let task = &publication.task;
        let key = (task.run, task.step, task.token);
        match result {
            PublishResult::Accepted => {
                self.waiting.lock().await.remove(&key);
                if self.refused.lock().await.remove(&key) {
                    self.say(key, Published::Accepted).await;
                }
            }
            PublishResult::AlreadyThere => {
                self.waiting.lock().await.remove(&key);
                let mut refused = self.refused.lock().await;
                if refused.len() >= REFUSED_MAX {
                    refused.clear();
                }
                refused.insert(key);
                drop(refused);
                self.say(key, Published::AlreadyThere).await;
            }
            PublishResult::Refused(reason) => {
                tracing::error!(reason, step = task.name, "the bus will never take this task");
                self.waiting.lock().await.remove(&key);
            }
            other => {
                if other == PublishResult::NoStream {
                    self.pools.lock().await.remove(&task.pool);
                }
                tracing::debug!(?other, step = task.name, "a task is not on the bus yet");
                self.waiting.lock().await.insert(key, publication);
            }
        }
    }

    async fn say(&self, (run, step, token): Key, result: Published) {
        let _ = self.tell.send(Completion::Published { run, step, token, result }).await;
    }

    async fn forget(&self, run: RunId, attempt: Option<(StepAddress, AttemptToken)>) {
        let gone =
            |key: &Key| key.0 == run && attempt.is_none_or(|attempt| attempt == (key.1, key.2));
        self.waiting.lock().await.retain(|key, _| !gone(key));
        self.refused.lock().await.retain(|key| !gone(key));
    }

    async fn purge(
        self: Arc<Self>,
        run: RunId,
        attempt: Option<(StepAddress, AttemptToken)>,
        pools: Vec<PoolName>,
    ) {
        for pool in pools {
            for _ in 0..PURGES_MAX {
                let purged = match attempt {
                    Some((step, token)) => {
                        admin::purge_attempt(&self.bus, &pool, run, step, token).await
                    }
                    None => admin::purge_run(&self.bus, &pool, run).await,
                };
                match purged {
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%error, %pool, %run, "tasks could not be taken off the bus")
                    }
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

fn message(publication: Publication) -> Option<(Publication, Subject, Bytes)> {
    let task = &publication.task;
    let priority = Priority::from_rank(publication.priority);
    let subject = subject::task(&task.pool, priority, task.run, task.step, task.token);
    match codec::encode(task.as_ref()) {
        Ok(bytes) => Some((publication, subject, bytes.into())),
        Err(error) => {
            tracing::error!(%error, step = task.name, "a task could not be written");
            None
        }
    }
}

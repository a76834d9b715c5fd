//! What several tests need.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use maestro_schemas::id::RunId;
use maestro_schemas::name::PoolName;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};
use maestro_streams::fetch::inbox::{InboxDelivery, InboxRead, InboxReader};
use maestro_streams::topology::Topology;
use maestro_streams::topology::subject::{self, Subject};

pub fn topology() -> Topology {
    Topology { shards: 2, ..Topology::default() }
}

pub fn pool(name: &str) -> PoolName {
    name.parse().expect("a name")
}

pub fn task(pool: &PoolName, item: u32) -> Subject {
    task_of(pool, RunId::generate(), item)
}

pub fn task_of(pool: &PoolName, run: RunId, item: u32) -> Subject {
    let token = AttemptToken { number: 1, epoch: 1 };
    subject::task(pool, Priority::Normal, run, StepAddress::item(0, item), token)
}

pub fn text(of: impl ToString) -> Bytes {
    Bytes::from(of.to_string())
}

/// Fails instead of hanging.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    within(Duration::from_secs(30), what).await
}

pub async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what).await.expect("it happens in time")
}

/// Reads until `wanted` different payloads came, acking none.
pub async fn read_payloads(reader: &mut InboxReader, wanted: usize) -> Vec<InboxDelivery> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    while seen.len() < wanted {
        match soon(reader.next()).await.expect("the connection is open") {
            InboxRead::Batch(batch) => {
                seen.extend(batch.iter().map(|delivery| delivery.payload.clone()));
                all.extend(batch);
            }
            InboxRead::CaughtUp { .. } | InboxRead::Rebuilt { .. } => {}
            InboxRead::Lost { shard, error } => panic!("shard {shard} is lost: {error}"),
        }
    }
    all
}

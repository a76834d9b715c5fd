//! Reports on their way: sent until the inbox has them, and only then are their tasks acked.
//!
//! Reports that end together travel together. While the inbox is full a worker keeps its reports,
//! their slots and their deliveries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::report::Report;
use maestro_streams::delivery::Delivery;
use maestro_streams::publish::PublishResult;
use maestro_streams::topology::{TASK_RENEW, subject};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use crate::registry::Hand;
use crate::session::Pool;

/// The most reports in one message.
const CHUNK_MAX: usize = 64;
/// The most bytes of several reports in one message.
const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// How many messages may be un-acked together.
const IN_FLIGHT: usize = 8;
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// For how long a report is tried. After that its delivery lapses, and the attempt begins anew.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// An execution that has ended and is not reported yet. It keeps its slot, and heartbeats name it.
pub(crate) struct Finished {
    pub(crate) shard: u16,
    pub(crate) report: Report,
    pub(crate) delivery: Delivery,
    pub(crate) _hand: Hand,
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// Sends what comes until nobody sends more.
pub(crate) async fn send_reports(pool: Arc<Pool>, mut finished: mpsc::Receiver<Finished>) {
    let mut sending = FuturesUnordered::new();
    let mut open = true;
    while open || !sending.is_empty() {
        let mut got = Vec::new();
        tokio::select! {
            count = finished.recv_many(&mut got, CHUNK_MAX * IN_FLIGHT),
                if open && sending.len() < IN_FLIGHT => open = count > 0,
            Some(()) = sending.next() => {}
        }
        for chunk in chunks(got) {
            sending.push(send(Arc::clone(&pool), chunk));
        }
    }
}

/// Of one shard each, and no larger than a message may be.
fn chunks(finished: Vec<Finished>) -> Vec<Vec<Finished>> {
    let mut shards: BTreeMap<u16, Vec<Finished>> = BTreeMap::new();
    for one in finished {
        shards.entry(one.shard).or_default().push(one);
    }
    let mut chunks = Vec::new();
    for mut rest in shards.into_values() {
        while rest.len() > CHUNK_MAX {
            let tail = rest.split_off(CHUNK_MAX);
            chunks.push(std::mem::replace(&mut rest, tail));
        }
        chunks.push(rest);
    }
    chunks
}

async fn send(pool: Arc<Pool>, chunk: Vec<Finished>) {
    let mut left = vec![chunk];
    while let Some(mut chunk) = left.pop() {
        match encode(&chunk) {
            Ok(bytes) if bytes.len() <= CHUNK_BYTES_MAX || chunk.len() == 1 => {
                if let Some(refused) = deliver(&pool, chunk, bytes).await {
                    left.extend(lessened(refused));
                }
            }
            _ if chunk.len() > 1 => {
                let tail = chunk.split_off(chunk.len() / 2);
                left.extend([tail, chunk]);
            }
            _ => left.extend(lessened((chunk, "it does not encode".to_owned()))),
        }
    }
}

fn encode(chunk: &[Finished]) -> Result<Bytes, codec::Error> {
    let reports = chunk.iter().map(|one| one.report.clone()).collect();
    codec::encode(&InboxMessage::Reports(reports)).map(Bytes::from)
}

/// What the bus refuses for good is said in a smaller report; a second refusal gives it up.
fn lessened((mut chunk, why): (Vec<Finished>, String)) -> Option<Vec<Finished>> {
    tracing::error!(why, "a report was refused");
    let message = format!("its report was refused: {why}");
    let failed = Outcome::failed(FailureClass::Permanent, message);
    chunk.retain(|one| !is_lessened(&one.report.outcome));
    for one in &mut chunk {
        one.report.outcome = failed.clone();
    }
    (!chunk.is_empty()).then_some(chunk)
}

fn is_lessened(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { failure, .. } if failure.message.starts_with("its report was refused"))
}

/// Publishes until the inbox has it, then acks the tasks; answers what is refused for good.
async fn deliver(
    pool: &Pool,
    chunk: Vec<Finished>,
    bytes: Bytes,
) -> Option<(Vec<Finished>, String)> {
    let shard = chunk.first()?.shard;
    let subject = subject::inbox_report(shard, &pool.name, run_of_all(&chunk));
    let started = Instant::now();
    let mut renewed = started;
    let mut pause = PAUSE_MIN;
    loop {
        match pool.publisher.publish(subject.clone(), bytes.clone()).await {
            result if result.is_there() => {
                for one in &chunk {
                    one.delivery.ack().await;
                }
                return None;
            }
            PublishResult::Refused(why) => return Some((chunk, why)),
            result if started.elapsed() > PATIENCE => {
                tracing::error!(?result, "reports are given up; their attempts begin anew");
                return None;
            }
            result => tracing::warn!(?result, reports = chunk.len(), "reports wait"),
        }
        if renewed.elapsed() >= TASK_RENEW {
            renewed = Instant::now();
            for one in &chunk {
                one.delivery.in_progress_unconfirmed().await;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

fn run_of_all(chunk: &[Finished]) -> Option<RunId> {
    let run = chunk.first()?.report.run;
    chunk.iter().all(|one| one.report.run == run).then_some(run)
}

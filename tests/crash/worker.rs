//! A worker of the pool `noop` as a process of its own, for tests that kill it.
//!
//! Its action takes `ms` milliseconds, and its output `sum` is a function of the step's name and of
//! `before` alone: whoever carries a step out, and however often, says the same. Where it is told amounts
//! in `spend`, it writes down a call of each before as many pauses, as if it would make it.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maestro_evidence::store::ArtifactStore;
use maestro_kit::action::Execution;
use maestro_kit::drain;
use maestro_kit::session::{PoolConfig, Worker, WorkerConfig};
use maestro_schemas::digest::Digest;
use maestro_schemas::outcome::{FailureClass, Outcome, Outputs};
use maestro_schemas::report::ModelCall;
use maestro_schemas::task::Task;
use maestro_streams::connect::ConnectOptions;
use maestro_streams::topology::Role;
use maestro_telemetry::logging::{self, Format};
use maestro_tests::harness::record;
use maestro_tests::harness::{SCRIPTED_POOL, Scripted};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    logging::set_up(std::env::var("MAESTRO_LOG").ok().as_deref(), Format::Text)?;
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("expected a name")?;
    let slots = arguments.next().ok_or("expected slots")?.parse()?;
    let lines = arguments.next().ok_or("expected a file")?;
    let lines = Arc::new(OpenOptions::new().create(true).append(true).open(lines)?);
    let handler =
        Scripted::new(SCRIPTED_POOL, move |execution| carry_out(Arc::clone(&lines), execution));
    let pool = SCRIPTED_POOL.parse()?;
    let store = std::env::var("MAESTRO_STORE")?;
    let connect =
        ConnectOptions::new(std::env::var("MAESTRO_NATS_URL")?, name.clone(), &Role::Worker(pool))
            .credentials(
                std::env::var("MAESTRO_NATS_USER")?,
                std::env::var("MAESTRO_NATS_PASSWORD")?,
            );
    let config = WorkerConfig {
        name,
        scratch: Path::new(&store).with_file_name("work"),
        store: ArtifactStore::open(&store)?,
        drain_max: Duration::from_secs(20),
        router: None,
    };
    let pool =
        PoolConfig { pool: SCRIPTED_POOL.parse()?, slots, prefetch: false, connect, handler };
    let mut worker = Worker::start(config, vec![pool]).await?;
    tokio::select! {
        asked = drain::signalled() => asked?,
        () = worker.finished() => {}
    }
    worker.drain();
    worker.finished().await;
    Ok(())
}

async fn carry_out(lines: Arc<File>, execution: Execution) -> Outcome {
    let task = &execution.task;
    note(&lines, "began", task);
    let with: Value = serde_json::from_slice(&task.with).unwrap_or_default();
    let pause = with.get("ms").and_then(Value::as_u64).unwrap_or_default();
    let amounts = with.get("spend").and_then(Value::as_array).cloned().unwrap_or_default();
    for amount in amounts.iter().filter_map(Value::as_u64) {
        let call = ModelCall::begun("none", Digest::of(b"none"), amount);
        match execution.account.begin(call).await {
            Ok(entry) => drop(entry.made()),
            Err(error) => {
                note(&lines, "ended", task);
                return Outcome::failed(FailureClass::Denied, error.to_string());
            }
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    tokio::time::sleep(Duration::from_millis(pause)).await;
    let before = with.get("before").and_then(Value::as_str).unwrap_or_default();
    let sum = Digest::of(format!("{} {before}", task.name).as_bytes()).short();
    note(&lines, "ended", task);
    Outcome::Succeeded {
        outputs: Outputs::from([("sum".to_owned(), sum.into())]),
        artifacts: Vec::new(),
    }
}

/// One write for a line, so that a kill leaves no half of one.
fn note(mut lines: &File, what: &str, task: &Task) {
    if let Err(error) = lines.write_all(record::line(what, task).as_bytes()) {
        tracing::error!(%error, "an execution could not be noted");
    }
}

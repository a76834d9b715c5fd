//! What a step that does nothing takes without a sandbox and at each level, from task to outcome, in
//! milliseconds, and what of it is the sandbox. Levels take turns, so that a machine that grows slower
//! does so for all.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use maestro_build::sandbox::host::Search;
use maestro_build::{BuildPool, Host, Settings};
use maestro_kit::account::Account;
use maestro_kit::action::{Execution, Handler};
use maestro_kit::evidence::store::ArtifactStore;
use maestro_kit::ledger::Ledger;
use maestro_kit::log::LogSink;
use maestro_kit::redact::Redactor;
use maestro_kit::router::RouterClient;
use maestro_kit::scratch::Scratch;
use maestro_kit::secrets::Secrets;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::outcome::Outcome;
use maestro_schemas::sandbox::Level;
use maestro_schemas::task::Task;
use tokio_util::sync::CancellationToken;

/// Steps of each level.
const ROUNDS: usize = 100;

type Anything<T> = Result<T, Box<dyn Error>>;

struct Pool {
    name: String,
    pool: BuildPool,
    /// Of each step, in milliseconds.
    took: Vec<f64>,
}

fn main() -> Anything<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Anything<()> {
    let directory = std::env::temp_dir().join(format!("maestro-bench-{}", std::process::id()));
    let store = ArtifactStore::local(directory.join("store"))?;
    let settings = Settings::from_variables(std::env::vars());
    let bare = BuildPool::new(settings.clone());
    let mut pools = vec![Pool { name: "none".into(), pool: bare, took: Vec::new() }];
    for most in [Level::Plain, Level::Landlock, Level::Bubblewrap] {
        let search = Search {
            helper: env!("CARGO_BIN_EXE_maestro-confine").into(),
            bubblewrap: bubblewrap(),
            most: Some(most),
            readable: Vec::new(),
        };
        let host = Host::probe(search, &settings).await?;
        if host.level() == most {
            let name = format!("{most}, limits by {}", host.offered().limits_by.as_str());
            let pool = BuildPool::new(settings.clone()).within(host);
            pools.push(Pool { name, pool, took: Vec::new() });
        }
    }
    for _ in 0..ROUNDS {
        for pool in &mut pools {
            let execution = execution(&directory, &store)?;
            let begun = Instant::now();
            let outcome = pool.pool.carry_out(execution).await;
            pool.took.push(begun.elapsed().as_secs_f64() * 1e3);
            if !matches!(outcome, Outcome::Succeeded { .. }) {
                return Err(format!("{}: {outcome:?}", pool.name).into());
            }
        }
    }
    std::fs::remove_dir_all(&directory)?;
    show(&mut pools)
}

fn show(pools: &mut [Pool]) -> Anything<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ROUNDS} steps that do nothing at each level, in milliseconds")?;
    let mut bare = 0.0;
    for pool in pools {
        pool.took.sort_by(f64::total_cmp);
        let at = |part: usize| pool.took.get(pool.took.len() * part / 100).copied().unwrap_or(0.0);
        let (median, late) = (at(50), at(95));
        if pool.name == "none" {
            bare = median;
        }
        let name = &pool.name;
        let more = median - bare;
        writeln!(out, "{name:<32} p50 {median:6.1}  p95 {late:6.1}  of it the sandbox {more:5.1}")?;
    }
    Ok(())
}

fn bubblewrap() -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = [own].into_iter().chain(std::env::split_paths(&path));
    directories.map(|directory| directory.join("bwrap")).find(|file| file.is_file())
}

fn execution(directory: &Path, store: &ArtifactStore) -> Anything<Execution> {
    let task: Task = serde_json::from_value(serde_json::json!({
        "run": RunId::generate(),
        "step": { "node": 0, "item": 0, "visit": 0 },
        "token": { "number": 1, "epoch": 1 },
        "shard": 0,
        "project": "default",
        "pool": "build",
        "name": "bench/nothing",
        "action": "shell",
        "with": br#"{"command":["true"]}"#.to_vec(),
        "effect": "idempotent",
        "idempotency_key": "run:step",
        "timeout_ms": 60_000,
    }))?;
    let id = ExecutionId::generate();
    let ledger = Ledger::default();
    Ok(Execution {
        account: Account::alone(&task, id, ledger.clone()),
        task: Arc::new(task),
        id,
        stop: CancellationToken::new(),
        delivered: 1,
        secrets: Secrets::new(),
        redactor: Redactor::default(),
        log: LogSink::kept(store.clone(), Redactor::default()),
        beside: tokio_util::task::TaskTracker::new(),
        store: store.clone(),
        ledger,
        router: RouterClient::nobody(),
        scratch: Scratch::below(&directory.join("scratch"), id),
    })
}

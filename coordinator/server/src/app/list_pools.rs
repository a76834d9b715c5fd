//! The pools that live workers serve, as their heartbeats tell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maestro_schemas::api::plans::Catalogue;
use maestro_schemas::api::pools::{PoolList, PoolView, RunningView, WorkerView};
use maestro_schemas::heartbeat::Heartbeat;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::{action, run};

impl App {
    /// Every pool with its workers. What they have in hand is named for runs of projects that the
    /// reader `sees`, and counted for all.
    pub async fn list_pools(
        &self,
        sees: impl Fn(&ProjectName) -> bool + Send,
    ) -> Result<PoolList, Error> {
        let catalogue = action::catalogue(&self.pool).await?;
        let workers = self.bus.workers();
        let in_hand =
            workers.iter().flat_map(|worker| &worker.running).map(|execution| execution.run);
        let owners = run::projects(&self.pool, in_hand.collect()).await?;
        let seen =
            owners.into_iter().filter(|(_, project)| sees(project)).map(|(run, _)| run).collect();
        Ok(PoolList { pools: pools(workers, &catalogue, &seen) })
    }
}

fn pools(
    workers: Vec<Arc<Heartbeat>>,
    catalogue: &Catalogue,
    seen: &BTreeSet<RunId>,
) -> Vec<PoolView> {
    let mut pools: BTreeMap<String, PoolView> = BTreeMap::new();
    for heartbeat in workers {
        let pool =
            pools.entry(heartbeat.pool.to_string()).or_insert_with(|| empty(&heartbeat, catalogue));
        pool.slots = pool.slots.saturating_add(heartbeat.slots);
        pool.running =
            pool.running.saturating_add(u32::try_from(heartbeat.running.len()).unwrap_or(u32::MAX));
        pool.workers.push(worker(&heartbeat, seen));
    }
    let mut list: Vec<PoolView> = pools.into_values().collect();
    for pool in &mut list {
        pool.workers.sort_by(|one, other| one.name.cmp(&other.name));
    }
    list
}

fn empty(heartbeat: &Heartbeat, catalogue: &Catalogue) -> PoolView {
    let served = catalogue.actions.values().filter(|action| action.pool == heartbeat.pool);
    let actions: BTreeSet<String> = served.map(|action| action.name.clone()).collect();
    PoolView {
        name: heartbeat.pool.to_string(),
        slots: 0,
        running: 0,
        actions: actions.into_iter().collect(),
        workers: Vec::new(),
    }
}

fn worker(heartbeat: &Heartbeat, seen: &BTreeSet<RunId>) -> WorkerView {
    let running = heartbeat.running.iter().filter(|execution| seen.contains(&execution.run)).map(
        |execution| RunningView {
            run: execution.run.to_string(),
            step: execution.name.clone(),
            attempt: execution.token.number,
            elapsed_ms: execution.elapsed_ms,
        },
    );
    WorkerView {
        id: heartbeat.worker.to_string(),
        name: heartbeat.name.clone(),
        slots: heartbeat.slots,
        draining: heartbeat.draining,
        sandbox: heartbeat.sandbox.clone(),
        running: running.collect(),
    }
}

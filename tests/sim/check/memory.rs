//! The owner's memory against the rows: after every commit it equals what a new owner would read.

use std::collections::BTreeMap;
use std::sync::Arc;

use maestro_engine::decide::Facts;
use maestro_engine::run::advance::Next;
use maestro_engine::run::{Live, NodeStatus, Run};
use maestro_schemas::name::PoolName;

use super::{Checked, Checker};
use crate::store::{RunRecord, Store};
use crate::world::coordinator::Coordinator;

impl Checker {
    /// Compares every run of the shards that this owner still has.
    pub fn memory_equals_rows(&self, owner: &Coordinator, store: &Store) -> Checked {
        let current = |shard: u16| {
            owner
                .held
                .get(&shard)
                .is_some_and(|held| store.shards[usize::from(shard)].epoch == held.epoch)
        };
        let shards: Vec<u16> = owner.fold.shards().filter(|shard| current(*shard)).collect();
        let memory: BTreeMap<_, &Run> = owner
            .fold
            .runs()
            .filter(|run| shards.contains(&run.shard))
            .map(|run| (run.id, run))
            .collect();
        let unfinished =
            |record: &&RunRecord| shards.contains(&record.row.shard) && !record.state().is_final();
        let mut count = 0;
        for record in store.runs.values().filter(unfinished) {
            count += 1;
            let id = record.row.id;
            let Some(run) = memory.get(&id) else {
                return self.require(1, false, || format!("the owner does not know {id}"));
            };
            self.run_equals_rows(run, record)?;
        }
        self.require(1, count == memory.len(), || {
            let ended: Vec<_> = memory
                .keys()
                .filter(|id| store.runs.get(id).is_none_or(|record| record.state().is_final()))
                .collect();
            format!("the owner keeps {ended:?}, which have ended or never were")
        })?;
        self.in_flight_is_counted(owner)
    }

    fn in_flight_is_counted(&self, owner: &Coordinator) -> Checked {
        let mut live: BTreeMap<PoolName, u32> = BTreeMap::new();
        for run in owner.fold.runs() {
            for step in run.live.keys() {
                let pool = run.plan.nodes[step.node as usize].pool.clone();
                *live.entry(pool).or_default() += 1;
            }
        }
        owner.fold.demand().pools.iter().try_for_each(|(pool, part)| {
            let count = live.get(pool).copied().unwrap_or(0);
            self.require(1, part.in_flight == count, || {
                format!("{} in flight for {pool}, {count} live", part.in_flight)
            })
        })
    }

    fn run_equals_rows(&self, memory: &Run, record: &RunRecord) -> Checked {
        let id = memory.id;
        let live = memory.live.iter().map(|(step, live)| (*step, live.token));
        let rows = record.dispatch.iter().map(|(step, row)| (*step, row.token));
        self.require(5, live.eq(rows), || {
            format!("{id}: live {:?}, rows {:?}", memory.live, record.dispatch)
        })?;
        let loaded = Run::load(record.load(), Arc::clone(&memory.graph), 0);
        let equal = |what: &str, one: String, other: String| {
            self.require(1, one == other, || format!("{id}: {what} {one}, by the rows {other}"))
        };
        if memory.opened.is_empty() {
            for (index, fresh) in (0u32..).zip(&loaded.nodes) {
                let status = normal(memory.status(index));
                self.require(1, status == normal(fresh), || {
                    format!("{id}: node {index} {:?}, by the rows {fresh:?}", memory.status(index))
                })?;
            }
        }
        self.require(1, memory.live.len() == loaded.live.len(), || format!("{id}: live"))?;
        for (one, other) in memory.live.values().zip(loaded.live.values()) {
            let known = |live: &Live| {
                let is_cancelled = live.sight.cancelled_at_ms.is_some();
                (live.token, live.lapses, live.decided_at_ms, is_cancelled)
            };
            self.require(1, known(one) == known(other), || format!("{id}: {one:?} {other:?}"))?;
        }
        self.require(1, memory.pauses == loaded.pauses, || {
            format!("{id}: pauses {:?}, by the rows {:?}", memory.pauses, loaded.pauses)
        })?;
        self.require(1, memory.made == loaded.made, || {
            format!("{id}: made {:?}, by the rows {:?}", memory.made, loaded.made)
        })?;
        self.require(1, memory.remade == loaded.remade, || {
            format!("{id}: remade {:?}, by the rows {:?}", memory.remade, loaded.remade)
        })?;
        self.require(1, memory.unmet == loaded.unmet && memory.counts == loaded.counts, || {
            format!("{id}: {:?}, by the rows {:?}", memory.counts, loaded.counts)
        })?;
        equal("stands", summary(memory), summary(&loaded))?;
        self.nothing_is_undecided(memory, loaded)
    }

    /// What a new owner would decide at once, this one should have decided.
    fn nothing_is_undecided(&self, memory: &Run, mut loaded: Run) -> Checked {
        if !memory.opened.is_empty() {
            return Ok(());
        }
        let facts = Facts { now_ms: 0, epoch: 0 };
        while let Some(node) = loaded.opened.pop_front() {
            if memory.item_outputs.is_empty()
                && let Next::Decide(event) = loaded.look_at(node, facts)
            {
                return self.require(1, false, || {
                    format!("{}: a new owner would decide {event:?}", memory.id)
                });
            }
        }
        self.require(1, loaded.verdict().is_none(), || {
            format!("{}: a new owner would end it", memory.id)
        })
    }
}

/// A status without what is not committed: whether something was asked about it or it is ready.
fn normal(status: &NodeStatus) -> NodeStatus {
    match status {
        NodeStatus::Asking(_) | NodeStatus::Ready => NodeStatus::Waiting,
        other => other.clone(),
    }
}

fn summary(run: &Run) -> String {
    format!(
        "{:?} {:?} {} {:?} {} {} {} {:?} {:?}",
        run.state,
        run.cancel_reason,
        run.cancelled_again,
        run.cause,
        run.failed,
        run.unfinished,
        run.ordinary_unfinished,
        run.rerun,
        (&run.project, run.shard, run.plan_digest),
    )
}

//! The model of Postgres against Postgres: what the simulation wrote is written again to both, and
//! after each commit both say the same of it and hold the same.
//!
//! Left out is what the model refuses as data: it stands for any value that Postgres refuses.

use std::collections::BTreeSet;

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::{Answer, Ask, Landing, LoadedRun};
use maestro_schemas::id::RunId;
use maestro_server::store as real;
use maestro_server::store::connect::FoldConnection;
use maestro_tests::harness::Database;
use sqlx::{Executor as _, PgPool};

use crate::play::{How, play};
use crate::store::{Landed, Store, Written, is_poisoned};

/// Seeds whose writings are written again.
const SEEDS: std::ops::Range<u64> = 100..105;

/// So many commits are between two comparisons of all rows: they are dear.
const COMPARE_EVERY: usize = 8;

#[tokio::test]
async fn postgres_does_what_its_model_does() {
    let database = Database::start().await;
    let mut marks = BTreeSet::new();
    for seed in SEEDS {
        let played = play(seed, How { journalled: true, ..How::default() });
        let mut both = Both::begin(&database, seed, &played.store).await;
        for (number, written) in played.store.journal.iter().flatten().enumerate() {
            let landed = both.write(written).await;
            marks.extend(landed.as_ref().map(mark));
            if number % COMPARE_EVERY == 0 {
                both.compare().await;
            }
        }
        both.compare().await;
        both.compare_answers().await;
    }
    assert_eq!(marks, ["new", "refused", "repeated"].into(), "the seeds hold too little");
}

fn mark(landed: &Landed) -> &'static str {
    match landed {
        Landed::New => "new",
        Landed::Repeated => "repeated",
        Landed::Refused => "refused",
        Landed::Unacceptable => "no data",
        Landed::Unfit(_) => "unfit",
    }
}

/// A database and its model, written in step.
struct Both {
    seed: u64,
    model: Store,
    pool: PgPool,
    fold: FoldConnection,
    written: usize,
}

impl Both {
    async fn begin(database: &Database, seed: u64, played: &Store) -> Self {
        let url = database.another(&format!("seed_{seed}")).await;
        let options = real::connect::options(&url).expect("an address");
        let pool = real::connect::pool(options.clone(), 2);
        let count = u16::try_from(played.shards.len()).expect("few shards");
        let mut conn = pool.acquire().await.expect("a connection");
        real::migrate(&mut conn).await.expect("the tables are made");
        real::shard::ensure_shards(&mut conn, count).await.expect("the shards are made");
        for record in played.runs.values() {
            let stored = real::plan::store(&mut *conn, &record.row.project, &record.plan).await;
            stored.expect("the plan is stored");
        }
        let model = Store { plans: played.plans.clone(), ..Store::with_shards(count) };
        let fold = FoldConnection::new(options);
        Self { seed, model, pool, fold, written: 0 }
    }

    async fn write(&mut self, written: &Written) -> Option<Landed> {
        self.written += 1;
        match written {
            Written::Taken { shard, epoch } => {
                self.model.shards[usize::from(*shard)].epoch = *epoch;
                let raise = sqlx::query("update shard set epoch = $2 where id = $1")
                    .bind(i32::from(*shard))
                    .bind(i64::try_from(*epoch).expect("a small epoch"));
                self.pool.execute(raise).await.expect("the epoch is raised");
                None
            }
            Written::Sent(commit) if is_poisoned(commit) => None,
            Written::Sent(commit) => Some(self.send(commit).await),
        }
    }

    async fn send(&mut self, commit: &Commit) -> Landed {
        let here = self.model.land(commit, 0);
        let there = self.fold.commit(commit).await;
        let same = matches!(
            (&here, &there),
            (Landed::New | Landed::Repeated, Ok(Landing::Done))
                | (Landed::Refused, Ok(Landing::Refused))
        );
        assert!(
            same,
            "{}: {here:?} in the model, {there:?} in Postgres: {commit:#?}",
            self.place()
        );
        here
    }

    async fn compare(&mut self) {
        for shard in 0..self.model.shards.len() {
            let number = u16::try_from(shard).expect("few shards");
            let mut conn = self.pool.acquire().await.expect("a connection");
            let loaded = real::load::load_shard_runs(&mut conn, number).await.expect("rows");
            assert!(loaded.unreadable.is_empty(), "{}: {:?}", self.place(), loaded.unreadable);
            let (here, there) = (sorted(self.model.load(number)), sorted(loaded.runs));
            assert_eq!(here.len(), there.len(), "{}: runs of shard {shard}", self.place());
            for (here, there) in here.into_iter().zip(there) {
                assert_eq!(here, there, "{}: model, Postgres", self.place());
            }
            let row: (i64, i64) = sqlx::query_as("select batch, clock_ms from shard where id = $1")
                .bind(i32::from(number))
                .fetch_one(&mut *conn)
                .await
                .expect("a shard");
            let model = &self.model.shards[shard];
            let known = (model.batch.cast_signed(), model.clock_ms.cast_signed());
            assert_eq!(known, row, "{}: batch and clock of shard {shard}", self.place());
        }
    }

    /// What is asked of the rows has the same answer.
    async fn compare_answers(&mut self) {
        let mut conn = self.pool.acquire().await.expect("a connection");
        for (project, key) in self.model.results.keys() {
            let there = real::result::by_key(&mut *conn, project, *key).await.expect("rows");
            let ask = Ask::Result { project: project.clone(), key: *key };
            assert_eq!(self.model.answer(&ask), Answer::Result(there), "{}", self.place());
        }
        for (command, row) in &self.model.audits {
            let there = real::audit::answer(&mut *conn, *command).await.expect("rows");
            assert_eq!(Some(row.answer.clone()), there, "{}", self.place());
        }
        let nodes: Vec<(RunId, u32)> = self
            .model
            .runs
            .iter()
            .flat_map(|(run, record)| record.fanouts.keys().map(|node| (*run, *node)))
            .collect();
        for (run, node) in nodes {
            let there = real::load::item_outputs(&mut conn, run, node).await.expect("rows");
            let here = self.model.answer(&Ask::ItemOutputs { run, node });
            assert_eq!(here, Answer::ItemOutputs(there), "{}: {run} {node}", self.place());
        }
        for (run, record) in &self.model.runs {
            let project = record.row.project.clone();
            let there = real::load::load_former(&mut conn, &project, *run).await.expect("rows");
            let here = self.model.answer(&Ask::Former { run: *run, project });
            let Answer::Former(here) = here else { panic!("{here:?}") };
            let here = here.map(|run| sorted(vec![*run]));
            assert_eq!(here, there.map(|run| sorted(vec![run])), "{}", self.place());
        }
    }

    fn place(&self) -> String {
        format!("seed {}, after {} writings", self.seed, self.written)
    }
}

/// Neither promises an order of runs, nor of a fan-out's items.
fn sorted(mut runs: Vec<LoadedRun>) -> Vec<LoadedRun> {
    runs.sort_by_key(|run| run.row.id);
    runs.iter_mut().for_each(|run| run.items.sort_unstable());
    runs
}

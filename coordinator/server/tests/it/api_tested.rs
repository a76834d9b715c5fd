//! What tests said, from the reports that attempts name to rows, and for how long these are kept.

use std::collections::BTreeMap;

use maestro_engine::shard::commit::{Commit, RunRow, StepRow};
use maestro_schemas::api::cached::{CacheAnswer, CacheReport};
use maestro_schemas::api::tested::{Durations, TestPage};
use maestro_schemas::artifact::Artifact;
use maestro_schemas::command::Rerun;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::step::{RunState, StepAddress, StepState};
use maestro_schemas::tested::{
    TESTS_MEDIA_TYPE, TESTS_ROLE, TestCase, TestOutcome, TestReport, TestTotals,
};
use maestro_server::store::durations::RUNS_TOLD;
use maestro_server::store::tested::{self, Named, Owner, Place, RUNS_KEPT, Told};

use crate::support::rows::*;
use crate::support::stack::Stack;

const FIRST: StepAddress = StepAddress::node(0);

fn report(cases: &[(&str, u64)]) -> TestReport {
    let cases = cases.iter().map(|(file, duration_us)| TestCase {
        suite: String::new(),
        class: String::new(),
        name: "works".to_owned(),
        file: Some((*file).to_owned()),
        outcome: TestOutcome::Passed,
        duration_us: Some(*duration_us),
        message: None,
    });
    TestReport { totals: TestTotals::default(), cases: cases.collect(), warnings: Vec::new() }
}

fn artifact_of(digest: Digest, size: u64) -> Artifact {
    Artifact { role: TESTS_ROLE.into(), digest, size, media_type: TESTS_MEDIA_TYPE.into() }
}

async fn kept(stack: &Stack, cases: &[(&str, u64)]) -> Artifact {
    let stored = stack.objects.put(serde_json::to_vec(&report(cases)).unwrap()).await.unwrap();
    artifact_of(stored.digest, stored.size)
}

/// Runs that have ended, each by one batch.
struct Past<'a> {
    stack: &'a Stack,
    batches: u64,
}

impl Past<'_> {
    async fn add(&mut self, row: RunRow, mut rows: Commit) {
        self.batches += 1;
        rows.shards = batch(self.batches).shards;
        let row = RunRow { batch: self.batches, ..row };
        rows.runs_changed = vec![run_change(row.id, self.batches, RunState::Succeeded)];
        rows.runs_begun = vec![row];
        self.stack.database.fold().commit(&rows).await.unwrap();
    }

    /// A run whose first step was executed.
    async fn executed(&mut self, row: RunRow, report: &Artifact) {
        let mut attempt = attempt_row(row.id, FIRST, 1);
        attempt.artifacts = vec![report.clone()];
        self.add(row, Commit { attempts: vec![attempt], ..Commit::default() }).await;
    }

    /// A run whose first step took a known result.
    async fn cached(&mut self, row: RunRow, report: &Artifact, ended_at_ms: u64) {
        let artifacts = vec![report.clone()];
        let step = step_row(row.id, FIRST, StepState::Cached);
        let steps = vec![StepRow { artifacts, ended_at_ms, ..step }];
        self.add(row, Commit { steps, ..Commit::default() }).await;
    }
}

async fn tests(stack: &Stack, run: RunId) -> TestPage {
    stack.get(&format!("/v1/projects/demo/runs/{run}/tests")).await
}

async fn durations(stack: &Stack) -> BTreeMap<String, u64> {
    let told: Durations = stack.get("/v1/projects/demo/test-durations?pipeline=ci").await;
    told.steps.get("main/first").cloned().unwrap_or_default()
}

#[tokio::test]
async fn runs_that_took_a_step_over_push_out_no_durations() {
    let stack = Stack::without_coordinator().await;
    let mut past = Past { stack: &stack, batches: 0 };
    let report = kept(&stack, &[("a.py", 5_000)]).await;
    past.executed(run_row(RunId::generate()), &report).await;
    for number in 0..RUNS_KEPT as u64 + 5 {
        let run = RunId::generate();
        past.cached(run_row(run), &report, 10_000 + number).await;
        if number < 15 {
            assert_eq!(tests(&stack, run).await.cases.len(), 1);
        }
        if number == 14 {
            assert_eq!(durations(&stack).await, BTreeMap::from([("a.py".to_owned(), 5_000)]));
        } else if number > 14 {
            tests(&stack, run).await;
        }
    }
    assert_eq!(durations(&stack).await, BTreeMap::from([("a.py".to_owned(), 5_000)]));
    assert_eq!(stack.database.count("test_report").await, RUNS_KEPT + 1);
}

#[tokio::test]
async fn reports_of_a_step_go_run_by_run_however_many_parts_there_are() {
    let database = laid_out().await;
    let (pool, project) = (database.pool(), project());
    let keep = async |number: u64, parts: u32| {
        let run = RunId::generate();
        let owner = Owner { project: &project, pipeline: "ci", run, step: "main/each" };
        let mut transaction = pool.begin().await.unwrap();
        for part in 0..parts {
            let place = Place { step: StepAddress::item(1, part), number: 1 };
            let named =
                Named { place, ended_at_ms: number, report: artifact_of(Digest::of(b"r"), 1) };
            let told = Told::of(report(&[("a.py", 1)]));
            tested::keep(&mut transaction, owner, &named, &told).await.unwrap();
        }
        transaction.commit().await.unwrap();
        tested::let_go(&pool, owner).await.unwrap();
        run
    };
    for number in 0..10 {
        keep(100 + number, 256).await;
    }
    assert_eq!(database.count("test_report").await, 2_560);
    for number in 0..RUNS_KEPT as u64 - 2 {
        keep(200 + number, 1).await;
    }
    assert_eq!(database.count("test_report").await, 2 * 256 + RUNS_KEPT - 2);
    let oldest = keep(1, 3).await;
    assert_eq!(tested::kept(&pool, oldest).await.unwrap().len(), 3);
}

#[tokio::test]
async fn durations_that_are_too_long_or_of_a_run_that_cannot_be_read_keep_no_others_back() {
    let stack = Stack::without_coordinator().await;
    let mut past = Past { stack: &stack, batches: 0 };
    let long = kept(&stack, &[("a.py", u64::MAX), ("a.py", u64::MAX), ("b.py", 7)]).await;
    past.executed(run_row(RunId::generate()), &long).await;
    let lost = RunRow { plan: Digest::of(b"no plan"), ..run_row(RunId::generate()) };
    past.executed(lost, &kept(&stack, &[("c.py", 1)]).await).await;
    let longest = u64::try_from(i64::MAX).unwrap();
    let told = durations(&stack).await;
    assert_eq!(told, BTreeMap::from([("a.py".to_owned(), longest), ("b.py".to_owned(), 7)]));
}

#[tokio::test]
async fn that_a_report_is_lost_is_told_and_remembered() {
    let stack = Stack::without_coordinator().await;
    let mut past = Past { stack: &stack, batches: 0 };
    let run = RunId::generate();
    let bytes = serde_json::to_vec(&report(&[("a.py", 1)])).unwrap();
    past.executed(run_row(run), &artifact_of(Digest::of(&bytes), bytes.len() as u64)).await;
    for _ in 0..2 {
        let page = tests(&stack, run).await;
        assert_eq!((page.steps.len(), page.cases.len()), (1, 0), "{page:?}");
        assert!(page.steps[0].warnings[0].starts_with("MAE-7123"), "{page:?}");
        assert_eq!(stack.database.count("test_report").await, 1);
        // Nobody looks for it again.
        stack.objects.put(bytes.clone()).await.unwrap();
    }
}

/// A report that no store has.
fn lost(number: u64) -> Artifact {
    artifact_of(Digest::of(&number.to_be_bytes()), 9)
}

#[tokio::test]
async fn reports_that_are_lost_push_out_no_durations() {
    let stack = Stack::without_coordinator().await;
    let mut past = Past { stack: &stack, batches: 0 };
    let kept = kept(&stack, &[("a.py", 5_000)]).await;
    past.executed(run_row(RunId::generate()), &kept).await;
    for number in 0..RUNS_TOLD as u64 + 5 {
        past.executed(run_row(RunId::generate()), &lost(number)).await;
    }
    for _ in 0..2 {
        assert_eq!(durations(&stack).await, BTreeMap::from([("a.py".to_owned(), 5_000)]));
    }
    // Later ones as well, which nobody has looked at before.
    for number in 100..RUNS_TOLD as u64 + 100 {
        past.executed(run_row(RunId::generate()), &lost(number)).await;
    }
    assert_eq!(durations(&stack).await, BTreeMap::from([("a.py".to_owned(), 5_000)]));
}

#[tokio::test]
async fn rows_of_lost_reports_let_no_row_of_a_good_one_go() {
    let database = laid_out().await;
    let (pool, project) = (database.pool(), project());
    let keep = async |number: u64, is_lost: bool| {
        let run = RunId::generate();
        let owner = Owner { project: &project, pipeline: "ci", run, step: "main/first" };
        let place = Place { step: FIRST, number: 1 };
        let named = Named { place, ended_at_ms: number, report: lost(number) };
        let told = Told { is_lost, ..Told::of(report(&[("a.py", 1)])) };
        let mut transaction = pool.begin().await.unwrap();
        tested::keep(&mut transaction, owner, &named, &told).await.unwrap();
        transaction.commit().await.unwrap();
        tested::let_go(&pool, owner).await.unwrap();
        run
    };
    let good = keep(1, false).await;
    for number in 0..RUNS_KEPT as u64 + 5 {
        keep(10 + number, true).await;
    }
    assert_eq!(tested::kept(&pool, good).await.unwrap().len(), 1);
    assert_eq!(database.count("test_report").await, RUNS_KEPT + 1);
}

#[tokio::test]
async fn of_items_that_reruns_took_over_tests_and_origin_are_told() {
    let stack = Stack::without_coordinator().await;
    let mut past = Past { stack: &stack, batches: 0 };
    let runs: Vec<RunId> = (0..3).map(|_| RunId::generate()).collect();
    // Each executes the items that it does not take over.
    for (number, reused) in [(0, 0b0000), (1, 0b1110), (2, 0b1101)] {
        let run = runs[number];
        let former = number.checked_sub(1).map(|former| runs[former]);
        let rerun = former.map(|of| Rerun { of, from: Vec::new() });
        let mut fanout = fanout_row(run, 1);
        fanout.reused = (number > 0).then(|| vec![reused]);
        let mut attempts = Vec::new();
        for item in (0..4).filter(|item| reused >> item & 1 == 0) {
            let mut attempt = attempt_row(run, StepAddress::item(1, item), 1);
            attempt.artifacts = vec![kept(&stack, &[(&format!("{number}/{item}.py"), 1)]).await];
            attempts.push(attempt);
        }
        let rows = Commit { fanouts: vec![fanout], attempts, ..Commit::default() };
        past.add(RunRow { rerun, ..run_row(run) }, rows).await;
    }
    let page = tests(&stack, runs[2]).await;
    let files: Vec<_> = page.cases.iter().filter_map(|view| view.case.file.as_deref()).collect();
    assert_eq!(files, ["1/0.py", "2/1.py", "0/2.py", "0/3.py"]);
    let attempts: Vec<u32> = page.cases.iter().map(|view| view.attempt).collect();
    assert_eq!(attempts, [0, 1, 0, 0]);
    for (item, of) in [(0, runs[1]), (2, runs[0]), (3, runs[0])] {
        let path = format!("steps/{}/why-cached", StepAddress::item(1, item));
        let told: CacheReport =
            stack.get(&format!("/v1/projects/demo/runs/{}/{path}", runs[2])).await;
        assert_eq!((told.answer, told.nearest), (CacheAnswer::Hit, Some(of)), "{told:?}");
        assert_eq!(told.why, format!("kept from {of}"));
    }
    let path = format!("steps/{}/why-cached", StepAddress::item(1, 1));
    let told: CacheReport = stack.get(&format!("/v1/projects/demo/runs/{}/{path}", runs[2])).await;
    assert_eq!(told.answer, CacheAnswer::NotKept, "{told:?}");
}

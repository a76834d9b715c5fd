//! What is loaded is what was committed, for every kind of row.

use maestro_engine::shard::commit::Commit;
use maestro_engine::shard::request::{Landing, LoadedRun};
use maestro_schemas::command::Rerun;
use maestro_schemas::id::RunId;
use maestro_schemas::outcome::Outputs;
use maestro_schemas::report::Usage;
use maestro_schemas::step::{RunState, StepAddress, StepState};
use maestro_server::store;
use serde_json::json;

use crate::support::rows::*;

/// A commit with every kind of row, and the run that it amounts to.
fn everything(run: RunId, state: RunState) -> (Commit, LoadedRun) {
    let item = |item| StepAddress::item(1, item);
    let row = maestro_engine::shard::commit::RunRow {
        rerun: Some(Rerun { of: RunId::generate(), from: vec!["main/each[3]".to_owned()] }),
        ..run_row(run)
    };
    let first = failed(attempt_row(run, StepAddress::node(0), 1), StepState::Waiting);
    let second = attempt_row(run, StepAddress::node(0), 2);
    let change = run_change(run, 2, state);
    let commit = Commit {
        runs_begun: vec![row.clone()],
        runs_changed: vec![change.clone()],
        attempts: vec![
            first,
            second.clone(),
            attempt_row(run, item(0), 1),
            failed(attempt_row(run, item(1), 1), StepState::Waiting),
        ],
        steps: vec![
            step_row(run, item(2), StepState::Skipped),
            step_row(run, StepAddress::node(2), StepState::Cached),
        ],
        dispatched: vec![dispatch_row(run, item(3), 1)],
        timers_set: vec![timer_row(run, item(1))],
        fanouts: vec![fanout_row(run, 1)],
        ..batch(1)
    };
    let loaded = LoadedRun {
        row,
        change: Some(change),
        plan: plan(),
        steps: vec![step_row(run, StepAddress::node(2), StepState::Cached)],
        attempts: vec![second],
        items: vec![(1, 0, StepState::Succeeded), (1, 2, StepState::Skipped)],
        dispatched: commit.dispatched.clone(),
        timers: commit.timers_set.clone(),
        fanouts: commit.fanouts.clone(),
        item_outputs: Default::default(),
        spent: Usage { wall_ms: 160, cpu_ms: 120, cost_microusd: 20 },
    };
    (commit, loaded)
}

#[tokio::test]
async fn a_shard_is_loaded_as_it_was_committed() {
    let database = laid_out().await;
    let (commit, expected) = everything(RunId::generate(), RunState::Cancelling);
    assert_eq!(database.fold().commit(&commit).await.unwrap(), Landing::Done);
    let mut conn = database.conn().await;
    let mut loaded = store::load::load_shard_runs(&mut conn, 0).await.unwrap();
    assert!(loaded.unreadable.is_empty(), "{:?}", loaded.unreadable);
    let mut run = loaded.runs.pop().unwrap();
    run.items.sort();
    assert_eq!(run, expected);
    assert!(store::load::load_shard_runs(&mut conn, 1).await.unwrap().runs.is_empty());
}

#[tokio::test]
async fn a_run_that_has_ended_is_loaded_by_name_only() {
    let database = laid_out().await;
    let run = RunId::generate();
    let (commit, _) = everything(run, RunState::Failed);
    database.fold().commit(&commit).await.unwrap();
    let mut conn = database.conn().await;
    assert!(store::load::load_shard_runs(&mut conn, 0).await.unwrap().runs.is_empty());
    assert!(store::load::load_run(&mut conn, 0, run).await.unwrap().is_some());
    assert!(store::load::load_run(&mut conn, 1, run).await.unwrap().is_none());
    assert!(store::load::load_former(&mut conn, &project(), run).await.unwrap().is_some());
    let other = "other".parse().unwrap();
    assert!(store::load::load_former(&mut conn, &other, run).await.unwrap().is_none());
}

#[tokio::test]
async fn a_run_in_motion_is_no_former_run() {
    let database = laid_out().await;
    let run = RunId::generate();
    database.fold().commit(&Commit { runs_begun: vec![run_row(run)], ..batch(1) }).await.unwrap();
    let mut conn = database.conn().await;
    assert!(store::load::load_former(&mut conn, &project(), run).await.unwrap().is_none());
    let loaded = store::load::load_run(&mut conn, 0, run).await.unwrap().unwrap();
    assert_eq!((loaded.row, loaded.change), (run_row(run), None));
}

#[tokio::test]
async fn a_run_that_cannot_be_read_spoils_no_other() {
    let database = laid_out().await;
    let (whole, broken) = (RunId::generate(), RunId::generate());
    let mut orphan = run_row(broken);
    orphan.plan = maestro_schemas::digest::Digest::of(b"no such plan");
    database
        .fold()
        .commit(&Commit { runs_begun: vec![run_row(whole), orphan], ..batch(1) })
        .await
        .unwrap();
    let loaded = store::load::load_shard_runs(&mut database.conn().await, 0).await.unwrap();
    assert_eq!(loaded.runs.iter().map(|run| run.row.id).collect::<Vec<_>>(), [whole]);
    assert_eq!(loaded.unreadable[0].run, broken);
}

#[tokio::test]
async fn item_outputs_come_in_order_and_from_the_line_of_reruns() {
    let database = laid_out().await;
    let mut fold = database.fold();
    let (former, rerun) = (RunId::generate(), RunId::generate());
    let made = |run, item: u32, text: &str| {
        let mut row = attempt_row(run, StepAddress::item(1, item), 1);
        row.outputs = Outputs::from([("text".to_owned(), json!(text))]);
        row
    };
    let fanout =
        |run, reused| maestro_engine::shard::commit::FanoutRow { reused, ..fanout_row(run, 1) };
    let begin = Commit {
        runs_begun: vec![run_row(former)],
        fanouts: vec![fanout(former, None)],
        attempts: (0..4).map(|item| made(former, item, "former")).collect(),
        ..batch(1)
    };
    let row = maestro_engine::shard::commit::RunRow {
        rerun: Some(Rerun { of: former, from: vec![] }),
        ..run_row(rerun)
    };
    let again = Commit {
        runs_begun: vec![row],
        fanouts: vec![fanout(rerun, Some(vec![0b0101]))],
        attempts: vec![made(rerun, 1, "again"), failed(made(rerun, 3, "again"), StepState::Failed)],
        ..batch(2)
    };
    assert_eq!(fold.commit(&begin).await.unwrap(), Landing::Done);
    assert_eq!(fold.commit(&again).await.unwrap(), Landing::Done);
    let items = store::load::item_outputs(&mut database.conn().await, rerun, 1).await.unwrap();
    let texts: Vec<_> = items
        .iter()
        .map(|(outputs, _)| outputs.get("text").and_then(|text| text.as_str()))
        .collect();
    assert_eq!(texts, [Some("former"), Some("again"), Some("former"), None]);
}

//! A reader of events misses nothing, wherever it resumes and however many hints are lost.

use maestro_engine::shard::commit::{Commit, RunEventRow};
use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::id::RunId;
use maestro_schemas::step::{RunState, StepAddress, StepState};
use reqwest::Method;

use crate::support::rows::*;
use crate::support::stack::Stack;

fn run_event(run: RunId, batch: u64, state: RunState) -> RunEventRow {
    let event =
        Event { run, batch, at_ms: 1_000 * batch, kind: EventKind::Run { state, cause: None } };
    RunEventRow {
        run,
        batch,
        ordinal: 0,
        at_ms: event.at_ms,
        event: serde_json::to_value(&event).unwrap(),
    }
}

/// The batches of a run whose fan-out's items end one a batch, from the second on.
fn batches(run: RunId) -> Vec<Commit> {
    let begin = Commit {
        runs_begun: vec![run_row(run)],
        run_events: vec![run_event(run, 1, RunState::Running)],
        ..batch(1)
    };
    let item = |item: u32| {
        let number = u64::from(item) + 2;
        let mut row = attempt_row(run, StepAddress::item(1, item), 1);
        row.batch = number;
        Commit { attempts: vec![row], ..batch(number) }
    };
    let end = Commit {
        runs_changed: vec![run_change(run, 6, RunState::Succeeded)],
        run_events: vec![run_event(run, 6, RunState::Succeeded)],
        steps: vec![step_row(run, StepAddress::node(2), StepState::Skipped)]
            .into_iter()
            .map(|mut row| {
                row.batch = 6;
                row
            })
            .collect(),
        ..batch(6)
    };
    [begin].into_iter().chain((0..4).map(item)).chain([end]).collect()
}

/// Ids and events of a stream that has ended.
fn parse(text: &str) -> Vec<(Option<u64>, Event)> {
    let mut told = Vec::new();
    for block in text.split("\n\n") {
        let field =
            |name: &str| block.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
        if let Some(data) = field("data:") {
            told.push((
                field("id:").map(|id| id.parse().unwrap()),
                serde_json::from_str(data).unwrap(),
            ));
        }
    }
    told
}

async fn events(stack: &Stack, run: RunId, last: u64) -> Vec<(Option<u64>, Event)> {
    let path = format!("/v1/projects/demo/runs/{run}/events");
    let answer =
        stack.request(Method::GET, &path).header("last-event-id", last).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    parse(&answer.text().await.unwrap())
}

#[tokio::test]
async fn a_reader_resumes_after_the_batch_that_it_saw() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let mut fold = stack.database.fold();
    for commit in batches(run) {
        fold.commit(&commit).await.unwrap();
    }
    let all = events(&stack, run, 0).await;
    let seen: Vec<u64> = all.iter().map(|(_, event)| event.batch).collect();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 6]);
    let ids: Vec<Option<u64>> = all.iter().map(|(id, _)| *id).collect();
    assert_eq!(
        ids,
        [Some(1), Some(2), Some(3), Some(4), Some(5), None, Some(6)],
        "an id ends its batch"
    );
    assert!(matches!(all[6].1.kind, EventKind::Run { state: RunState::Succeeded, .. }));
    let EventKind::Step { step, .. } = &all[2].1.kind else { panic!("{:?}", all[2]) };
    assert_eq!(step, "main/each[1]");
    for last in 1..=6u64 {
        let rest = events(&stack, run, last).await;
        let expected: Vec<_> =
            all.iter().filter(|(_, event)| event.batch > last).cloned().collect();
        assert_eq!(rest, expected, "after {last}");
    }
}

#[tokio::test]
async fn a_reader_that_hears_no_hint_gets_everything_and_is_done_with_the_run() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let mut batches = batches(run).into_iter();
    let mut fold = stack.database.fold();
    fold.commit(&batches.next().unwrap()).await.unwrap();
    let reading = events(&stack, run, 0);
    let writing = async {
        for commit in batches {
            fold.commit(&commit).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (told, ()) = tokio::join!(reading, writing);
    assert_eq!(
        told.iter().map(|(_, event)| event.batch).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5, 6, 6]
    );
}

#[tokio::test]
async fn who_begins_to_look_is_told_what_is_live() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let mut fold = stack.database.fold();
    let live = StepAddress::node(0);
    fold.commit(&Commit {
        runs_begun: vec![run_row(run)],
        dispatched: vec![dispatch_row(run, live, 3)],
        ..batch(1)
    })
    .await
    .unwrap();
    let path = format!("/v1/projects/demo/runs/{run}/events");
    let mut answer = stack.request(Method::GET, &path).send().await.unwrap();
    let mut text = String::from_utf8(answer.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let end = Commit {
        undispatched: vec![(run, live)],
        runs_changed: vec![run_change(run, 2, RunState::Failed)],
        run_events: vec![run_event(run, 2, RunState::Failed)],
        ..batch(2)
    };
    fold.commit(&end).await.unwrap();
    text.push_str(&answer.text().await.unwrap());
    let told = parse(&text);
    assert!(matches!(told[1].1.kind, EventKind::Run { state: RunState::Failed, .. }));
    let (id, first) = &told[0];
    assert_eq!(*id, None);
    assert!(
        matches!(first.kind, EventKind::Step { address, state: StepState::Live, attempt: 3, .. } if address == live),
        "{first:?}"
    );
}

//! Steps and attempts as the rows tell them.

use maestro_engine::shard::commit::Commit;
use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::api::steps::{AttemptPage, ItemCounts, StepPage};
use maestro_schemas::id::RunId;
use maestro_schemas::step::{RunState, StepAddress, StepState};

use crate::support::rows::*;
use crate::support::stack::Stack;

fn item(item: u32) -> StepAddress {
    StepAddress::item(1, item)
}

#[tokio::test]
async fn a_fan_out_is_one_step_with_counts_and_plain_steps_show_their_last_attempt() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let mut fanout = fanout_row(run, 1);
    fanout.closed = false;
    let commit = Commit {
        runs_begun: vec![run_row(run)],
        attempts: vec![
            failed(attempt_row(run, StepAddress::node(0), 1), StepState::Waiting),
            attempt_row(run, StepAddress::node(0), 2),
            failed(attempt_row(run, item(0), 1), StepState::Failed),
        ],
        dispatched: vec![dispatch_row(run, item(1), 1), dispatch_row(run, item(2), 1)],
        fanouts: vec![fanout],
        ..batch(1)
    };
    stack.database.fold().commit(&commit).await.unwrap();
    let page: StepPage = stack.get(&format!("/v1/projects/demo/runs/{run}/steps")).await;
    let states: Vec<_> = page.steps.iter().map(|step| (step.id.as_str(), step.state)).collect();
    assert_eq!(
        states,
        [
            ("main/first", StepState::Succeeded),
            ("main/each", StepState::Live),
            ("main/last", StepState::Waiting)
        ]
    );
    assert_eq!((page.steps[0].attempts, &page.steps[0].outputs), (2, &outputs()));
    assert_eq!(page.steps[1].items, Some(ItemCounts { total: 4, ended: 2, failed: 1, live: 2 }));
    assert_eq!(page.steps[2].needs, ["main/each"]);
    let detail: RunDetail = stack.get(&format!("/v1/projects/demo/runs/{run}")).await;
    let summary = detail.summary;
    assert_eq!((summary.steps_ended, summary.steps_failed, summary.work_ms), (3, 1, 120));
}

#[tokio::test]
async fn attempts_come_in_the_order_of_their_decision_page_by_page() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let attempts = (0..2_500u32).map(|number| {
        let mut row = attempt_row(run, item(number), 1);
        row.decided_at_ms = u64::from(3_000 - number / 2);
        row
    });
    let commit =
        Commit { runs_begun: vec![run_row(run)], attempts: attempts.collect(), ..batch(1) };
    stack.database.fold().commit(&commit).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: AttemptPage =
            stack.get(&format!("/v1/projects/demo/runs/{run}/attempts{cursor}")).await;
        seen.extend(page.attempts.iter().map(|attempt| (attempt.decided_at_ms, attempt.address)));
        let Some(next) = page.next else { break };
        cursor = format!("?cursor={next}");
    }
    assert_eq!(seen.len(), 2_500);
    assert!(seen.is_sorted());
}

#[tokio::test]
async fn a_run_that_has_ended_has_no_waiting_step() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let commit = Commit {
        runs_begun: vec![run_row(run)],
        runs_changed: vec![run_change(run, 1, RunState::Quarantined)],
        ..batch(1)
    };
    stack.database.fold().commit(&commit).await.unwrap();
    let page: StepPage = stack.get(&format!("/v1/projects/demo/runs/{run}/steps")).await;
    assert!(page.steps.iter().all(|step| step.state.is_final()), "{page:?}");
}

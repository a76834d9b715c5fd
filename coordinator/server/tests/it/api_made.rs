//! Who made an artifact, from the commit of a run's end on.

use maestro_engine::shard::commit::{AttemptRow, Commit, NoticeRow};
use maestro_schemas::api::evidence::MadeBy;
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::step::{RunState, StepAddress};
use maestro_server::store::evidence::{self, Due};
use maestro_server::store::notice;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::rows::*;
use crate::support::stack::Stack;

const STEP: StepAddress = StepAddress::node(0);

async fn asked(stack: &Stack, made: &[u8]) -> Option<MadeBy> {
    let path = format!("/v1/projects/demo/made/{}", Digest::of(made));
    let answer = stack.request(Method::GET, &path).send().await.unwrap();
    match answer.status() {
        StatusCode::NOT_FOUND => None,
        status => {
            assert_eq!(status, StatusCode::OK);
            Some(answer.json().await.unwrap())
        }
    }
}

fn made(run: RunId) -> AttemptRow {
    let artifacts = vec![artifact("app", b"the app"), artifact("log", b"its log")];
    AttemptRow { artifacts, ..attempt_row(run, STEP, 1) }
}

#[tokio::test]
async fn what_an_ended_run_made_is_told_before_it_is_signed_and_nothing_else() {
    let stack = Stack::without_coordinator().await;
    let mut fold = stack.database.fold();
    let run = RunId::generate();
    let runs_begun = vec![run_row(run)];
    let begun = Commit { runs_begun, attempts: vec![made(run)], ..batch(1) };
    fold.commit(&begun).await.unwrap();
    assert_eq!(asked(&stack, b"the app").await, None, "it runs");

    let body = json!({ "state": "succeeded" });
    let ended = NoticeRow { run, project: project(), kind: "run_ended".to_owned(), body };
    let runs_changed = vec![run_change(run, 2, RunState::Succeeded)];
    fold.commit(&Commit { runs_changed, notices: vec![ended], ..batch(2) }).await.unwrap();
    let unsigned = Some(MadeBy { run, unsigned: true });
    assert_eq!(asked(&stack, b"the app").await, unsigned, "its end is not told yet");
    let pool = stack.database.pool();
    let pending = notice::pending(&pool, 10).await.unwrap();
    notice::confirm(&pool, &[pending[0].id]).await.unwrap();
    assert_eq!(asked(&stack, b"the app").await, unsigned, "its end is told");
    assert_eq!(asked(&stack, b"its log").await, None, "no statement is about a log");
    assert_eq!(asked(&stack, b"something else").await, None);

    let (statement, due) = (b"a statement", Due { run, project: project(), tries: 1 });
    evidence::keep(&pool, run, Digest::of(statement), statement).await.unwrap();
    evidence::note(&pool, &due, Digest::of(b"the app"), Digest::of(statement)).await.unwrap();
    assert_eq!(asked(&stack, b"the app").await, Some(MadeBy { run, unsigned: false }));
}

#[tokio::test]
async fn what_another_project_made_or_a_signed_run_left_unstated_is_not_waited_for() {
    let stack = Stack::without_coordinator().await;
    let mut fold = stack.database.fold();
    let (signed, foreign) = (RunId::generate(), RunId::generate());
    let mut other = run_row(foreign);
    other.project = "other".parse().unwrap();
    let runs_begun = vec![run_row(signed), other];
    let attempts = vec![made(signed), made(foreign)];
    fold.commit(&Commit { runs_begun, attempts, ..batch(1) }).await.unwrap();
    let pool = stack.database.pool();
    for (run, project) in [(signed, "demo"), (foreign, "other")] {
        let insert = "insert into evidence (run, project) values ($1, $2)";
        sqlx::query(insert).bind(run.uuid()).bind(project).execute(&pool).await.unwrap();
    }
    assert_eq!(asked(&stack, b"the app").await, Some(MadeBy { run: signed, unsigned: true }));
    evidence::signed(&pool, signed, Digest::of(b"a manifest"), 1).await.unwrap();
    assert_eq!(asked(&stack, b"the app").await, None);
}

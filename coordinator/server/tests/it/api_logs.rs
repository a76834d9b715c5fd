//! An attempt's output, once it has ended and while it runs.

use bytes::Bytes;
use maestro_engine::shard::commit::Commit;
use maestro_schemas::artifact::{Artifact, LOG_ROLE};
use maestro_schemas::codec;
use maestro_schemas::control::LogChunk;
use maestro_schemas::id::{ExecutionId, RunId};
use maestro_schemas::step::StepAddress;
use maestro_streams::connect::Connection;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::subject::{self, LogAddress};
use reqwest::{Method, Response, StatusCode};

use crate::support::rows::*;
use crate::support::stack::Stack;

const STEP: StepAddress = StepAddress::node(0);

async fn log(stack: &Stack, run: RunId, query: &str) -> Response {
    let path = format!("/v1/projects/demo/runs/{run}/steps/{STEP}/log{query}");
    stack.request(Method::GET, &path).send().await.unwrap()
}

async fn say(worker: &Connection, address: &LogAddress, offset: u64, text: &str) {
    let (last, bytes) = (text.ends_with('.'), text.as_bytes().to_vec());
    let chunk = LogChunk { number: offset, offset, bytes, last };
    worker.tell(subject::log(address), Bytes::from(codec::encode(&chunk).unwrap())).await;
}

#[tokio::test]
async fn the_whole_output_of_an_attempt_is_kept() {
    let stack = Stack::without_coordinator().await;
    let stored = stack.objects.put(&b"line 1\nline 2\n"[..]).await.unwrap();
    let run = RunId::generate();
    let mut first = failed(attempt_row(run, STEP, 1), maestro_schemas::step::StepState::Waiting);
    first.artifacts = Vec::new();
    let mut second = attempt_row(run, STEP, 2);
    second.artifacts = vec![Artifact {
        role: LOG_ROLE.to_owned(),
        digest: stored.digest,
        size: stored.size,
        media_type: "text/plain".to_owned(),
    }];
    let commit =
        Commit { runs_begun: vec![run_row(run)], attempts: vec![first, second], ..batch(1) };
    stack.database.fold().commit(&commit).await.unwrap();
    for query in ["", "?follow=true", "?attempt=2"] {
        let answer = log(&stack, run, query).await;
        assert_eq!(answer.text().await.unwrap(), "line 1\nline 2\n", "{query}");
    }
    assert_eq!(
        log(&stack, run, "?attempt=1").await.text().await.unwrap(),
        "",
        "a lapsed attempt left nothing"
    );
    assert_eq!(log(&stack, run, "?attempt=3").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_live_output_is_followed_to_its_end() {
    let stack = Stack::without_coordinator().await;
    let run = RunId::generate();
    let commit = Commit {
        runs_begun: vec![run_row(run)],
        dispatched: vec![dispatch_row(run, STEP, 1)],
        ..batch(1)
    };
    stack.database.fold().commit(&commit).await.unwrap();
    let pool: maestro_schemas::name::PoolName = "build".parse().unwrap();
    let worker = stack.nats.connect(&Role::Worker(pool.clone())).await;
    let address =
        LogAddress { pool, run, step: STEP, attempt: 1, execution: ExecutionId::generate() };
    say(&worker, &address, 0, "one ").await;
    say(&worker, &address, 4, "two ").await;
    worker
        .request(
            subject::rpc("none", "none").unwrap(),
            Bytes::new(),
            std::time::Duration::from_millis(100),
        )
        .await
        .ok();
    let mut following = log(&stack, run, "?follow=true").await;
    let mut text = String::new();
    while text.len() < 8 {
        text.push_str(std::str::from_utf8(&following.chunk().await.unwrap().unwrap()).unwrap());
    }
    say(&worker, &address, 8, "three.").await;
    text.push_str(&following.text().await.unwrap());
    assert_eq!(text, "one two three.");
    assert_eq!(
        log(&stack, run, "").await.text().await.unwrap(),
        "one two three.",
        "what the bus still has"
    );
}

//! Bytes by digest are for those whose project has a claim on them.

use maestro_engine::shard::commit::Commit;
use maestro_schemas::api::artifacts::ArtifactList;
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::rows::*;
use crate::support::stack::{Stack, read};

fn object(project: &str, digest: Digest) -> String {
    format!("/v1/projects/{project}/objects/{digest}")
}

async fn put(stack: &Stack, digest: Digest, bytes: &'static [u8]) -> StatusCode {
    stack.request(Method::PUT, &object("demo", digest)).body(bytes).send().await.unwrap().status()
}

async fn get(stack: &Stack, digest: Digest) -> StatusCode {
    stack.request(Method::GET, &object("demo", digest)).send().await.unwrap().status()
}

#[tokio::test]
async fn what_was_uploaded_is_no_longer_missing_and_comes_back() {
    let stack = Stack::without_coordinator().await;
    let digest = Digest::of(b"hello");
    let ask = json!({ "digests": [digest, Digest::of(b"other")] });
    let path = "/v1/projects/demo/objects/missing";
    let before: Value = read(stack.post(path, &ask).await, StatusCode::OK).await;
    assert_eq!(before["missing"].as_array().unwrap().len(), 2);
    assert_eq!(put(&stack, digest, b"hello").await, StatusCode::NO_CONTENT);
    let after: Value = read(stack.post(path, &ask).await, StatusCode::OK).await;
    assert_eq!(after["missing"], json!([Digest::of(b"other")]));
    let answer = stack.request(Method::GET, &object("demo", digest)).send().await.unwrap();
    assert_eq!(answer.headers()["content-length"], "5");
    assert_eq!(answer.bytes().await.unwrap().as_ref(), b"hello");
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused() {
    let stack = Stack::without_coordinator().await;
    assert_eq!(put(&stack, Digest::of(b"hello"), b"hullo").await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(get(&stack, Digest::of(b"hello")).await, StatusCode::NOT_FOUND);
    assert_eq!(get(&stack, Digest::of(b"hullo")).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn another_projects_object_is_neither_there_nor_known() {
    let stack = Stack::without_coordinator().await;
    let digest = Digest::of(b"secret");
    put(&stack, digest, b"secret").await;
    let token = stack.new_token(&[("other", "admin")]).await;
    let url = |path: &str| format!("{}{path}", stack.address);
    let answer =
        stack.http.get(url(&object("other", digest))).bearer_auth(&token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let ask = stack.http.post(url("/v1/projects/other/objects/missing")).bearer_auth(&token);
    let missing: Value =
        read(ask.json(&json!({ "digests": [digest] })).send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(missing["missing"], json!([digest]));
}

#[tokio::test]
async fn what_a_run_made_is_its_projects_with_all_that_a_directory_holds() {
    let stack = Stack::without_coordinator().await;
    let (inside, foreign) = (Digest::of(b"inside"), Digest::of(b"foreign"));
    for bytes in [&b"inside"[..], b"foreign"] {
        stack.objects.put(bytes).await.unwrap();
    }
    let kind = TreeEntryKind::File { digest: inside, size: 6, executable: false };
    let tree = Tree { entries: vec![TreeEntry { path: "a".to_owned(), kind }] };
    let stored = stack.objects.put(serde_json::to_vec(&tree).unwrap()).await.unwrap();
    let run = RunId::generate();
    let mut row = attempt_row(run, StepAddress::node(0), 1);
    row.artifacts = vec![Artifact {
        role: "dist".to_owned(),
        digest: stored.digest,
        size: stored.size,
        media_type: TREE_MEDIA_TYPE.to_owned(),
    }];
    let commit = Commit { runs_begun: vec![run_row(run)], attempts: vec![row.clone()], ..batch(1) };
    stack.database.fold().commit(&commit).await.unwrap();
    let list: ArtifactList = stack.get(&format!("/v1/projects/demo/runs/{run}/artifacts")).await;
    assert_eq!(
        (list.artifacts[0].step.as_str(), &list.artifacts[0].artifact),
        ("main/first", &row.artifacts[0])
    );
    assert_eq!(
        get(&stack, inside).await,
        StatusCode::NOT_FOUND,
        "before anybody has read the directory"
    );
    assert_eq!(get(&stack, stored.digest).await, StatusCode::OK);
    assert_eq!(get(&stack, inside).await, StatusCode::OK);
    assert_eq!(get(&stack, foreign).await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_directory_that_somebody_uploaded_gives_no_claim_on_what_it_names() {
    let stack = Stack::without_coordinator().await;
    stack.objects.put(&b"foreign"[..]).await.unwrap();
    let kind = TreeEntryKind::File { digest: Digest::of(b"foreign"), size: 7, executable: false };
    let tree = Tree { entries: vec![TreeEntry { path: "a".to_owned(), kind }] };
    let bytes = serde_json::to_vec(&tree).unwrap();
    let digest = Digest::of(&bytes);
    let answer =
        stack.request(Method::PUT, &object("demo", digest)).body(bytes).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(get(&stack, digest).await, StatusCode::OK);
    assert_eq!(get(&stack, Digest::of(b"foreign")).await, StatusCode::NOT_FOUND);
}

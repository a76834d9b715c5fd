//! What is collected, and what is not, whoever meets the collector on the way.

use std::fs::File;
use std::time::{Duration, SystemTime};

use maestro_engine::shard::commit::Commit;
use maestro_evidence::store::{ArtifactStore, KEPT};
use maestro_schemas::artifact::{Artifact, TREE_MEDIA_TYPE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::RunId;
use maestro_schemas::step::{StepAddress, StepState};
use maestro_server::background::collector::{Collector, Error};
use maestro_server::store::{self, connect, project_object};
use maestro_telemetry::event::ObjectsCollected;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use crate::support::postgres::Database;
use crate::support::rows::*;
use crate::support::stack::{Stack, read};

/// A database and a store of a test's own.
struct Place {
    database: Database,
    store: ArtifactStore,
    directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ArtifactStore::local(directory.path()).unwrap();
        Self { database: laid_out().await, store, directory }
    }

    fn collector(&self) -> Collector {
        let options = connect::options(&self.database.url).unwrap();
        Collector::new(options, self.store.clone(), CancellationToken::new())
    }

    async fn collect(&self) -> ObjectsCollected {
        self.collector().collect().await.unwrap().expect("nobody else collects")
    }

    async fn put(&self, bytes: &str) -> Digest {
        self.store.put(bytes.to_owned()).await.unwrap().digest
    }

    /// Puts an object, makes it old, and answers its digest.
    async fn put_old(&self, bytes: &str) -> Digest {
        let digest = self.put(bytes).await;
        make_old(&self.store, self.directory.path(), digest).await;
        digest
    }

    async fn put_old_tree(&self, below: &[Digest]) -> Artifact {
        let entry = |(number, digest): (usize, &Digest)| TreeEntry {
            path: format!("file-{number:04}"),
            kind: TreeEntryKind::File { digest: *digest, size: 1, executable: false },
        };
        let tree = Tree { entries: below.iter().enumerate().map(entry).collect() };
        let text = serde_json::to_string(&tree).unwrap();
        let size = text.len() as u64;
        let (role, media_type) = ("dir".to_owned(), TREE_MEDIA_TYPE.to_owned());
        Artifact { role, digest: self.put_old(&text).await, size, media_type }
    }

    async fn hold(&self, digest: Digest, age: Duration) {
        let mut conn = self.database.conn().await;
        project_object::hold(&mut conn, &project(), &[(digest, 1)]).await.unwrap();
        set_back(&mut conn, digest, age).await;
    }

    async fn holds(&self, digest: Digest) -> bool {
        let mut conn = self.database.conn().await;
        !project_object::held(&mut conn, &project(), &[digest]).await.unwrap().is_empty()
    }

    async fn has(&self, digest: Digest) -> bool {
        self.store.exists(digest).await.unwrap()
    }

    async fn commit(&self, commit: Commit) {
        self.database.fold().commit(&commit).await.unwrap();
    }
}

async fn make_old(store: &ArtifactStore, directory: &std::path::Path, digest: Digest) {
    let hex = digest.to_hex();
    let at = directory.join("sha256").join(&hex[..2]).join(&hex);
    let file = File::options().write(true).open(at).unwrap();
    file.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).unwrap();
    let written_at = store.object(digest).await.unwrap().unwrap().written_at;
    assert!(written_at < SystemTime::now() - KEPT);
}

async fn set_back(conn: &mut sqlx::PgConnection, digest: Digest, age: Duration) {
    let done = sqlx::query(
        "update project_object set held_at = now() - make_interval(secs => $2) where digest = $1",
    )
    .bind(digest.as_bytes().as_slice())
    .bind(age.as_secs_f64())
    .execute(conn)
    .await
    .unwrap();
    assert_eq!(done.rows_affected(), 1);
}

fn named(artifacts: Vec<Artifact>) -> impl Fn(RunId) -> Commit {
    move |run| {
        let mut row = attempt_row(run, StepAddress::node(0), 1);
        row.artifacts = artifacts.clone();
        Commit { runs_begun: vec![run_row(run)], attempts: vec![row], ..batch(1) }
    }
}

#[tokio::test]
async fn what_rows_of_any_kind_name_stays_with_all_that_is_in_directories() {
    let place = Place::new().await;
    let run = RunId::generate();
    let mut kept = Vec::new();
    for bytes in ["all of it", "step", "result", "below the attempt's", "below the plan's"] {
        kept.push(place.put_old(bytes).await);
    }
    let made = place.put_old_tree(&kept[3..4]).await;
    let workspace = place.put_old_tree(&kept[4..5]).await;
    kept.extend([made.digest, workspace.digest]);

    let mut attempt = failed(attempt_row(run, StepAddress::node(0), 1), StepState::Failed);
    attempt.artifacts = vec![artifact("log", b"all of it"), made];
    let mut step = step_row(run, StepAddress::node(2), StepState::Cached);
    step.artifacts = vec![artifact("package", b"step")];
    let mut result = result_row(b"key", run);
    result.artifacts = vec![artifact("package", b"result")];
    place
        .commit(Commit {
            runs_begun: vec![run_row(run)],
            attempts: vec![attempt],
            steps: vec![step],
            results: vec![result],
            ..batch(1)
        })
        .await;
    let mut plan = plan().plan().clone();
    plan.nodes[0].workspace = maestro_schemas::plan::Workspace::Tree { digest: workspace.digest };
    let plan = maestro_engine::plan::CheckedPlan::check(plan).unwrap();
    store::plan::store(&mut place.database.conn().await, &project(), &plan).await.unwrap();

    let dead = place.put_old("nobody's").await;
    let collected = place.collect().await;
    assert_eq!((collected.objects, collected.bytes, collected.named), (1, 8, 7));
    assert!(!place.has(dead).await);
    assert!(place.store.missing(&kept).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_a_row_that_cannot_be_read_may_name_stays() {
    let place = Place::new().await;
    let (inside, run) = (place.put_old("inside").await, RunId::generate());
    let tree = place.put_old_tree(&[inside]).await;
    place.commit(named(vec![artifact("log", b"x")])(run)).await;
    sqlx::query(
        "update attempt set artifacts = json_build_array(json_build_object('newer', $1::text))",
    )
    .bind(tree.digest.to_string())
    .execute(&mut place.database.conn().await)
    .await
    .unwrap();
    assert_eq!(place.collect().await.objects, 0);
    assert!(place.has(inside).await && place.has(tree.digest).await);
}

#[tokio::test]
async fn an_upload_goes_once_it_is_old_where_no_row_names_it() {
    let place = Place::new().await;
    let (unused, young, used) =
        (place.put_old("unused").await, place.put_old("young").await, place.put_old("used").await);
    let gone = Digest::of(b"gone before");
    place.hold(unused, KEPT + Duration::from_secs(60)).await;
    place.hold(young, KEPT - Duration::from_secs(60)).await;
    place.hold(used, 2 * KEPT).await;
    place.hold(gone, 2 * KEPT).await;
    place.commit(named(vec![artifact("log", b"used")])(RunId::generate())).await;
    let collected = place.collect().await;
    assert_eq!((collected.objects, collected.holds), (1, 2));
    assert!(!place.has(unused).await && !place.holds(unused).await);
    assert!(place.has(young).await && place.holds(young).await, "it is kept for a while");
    assert!(place.has(used).await && place.holds(used).await, "it may be read as before");
    assert!(!place.holds(gone).await);
}

#[tokio::test]
async fn an_object_that_another_project_holds_stays() {
    let place = Place::new().await;
    let digest = place.put_old("shared").await;
    place.hold(digest, 2 * KEPT).await;
    let other = "other".parse().unwrap();
    let mut conn = place.database.conn().await;
    project_object::hold(&mut conn, &other, &[(digest, 1)]).await.unwrap();
    let collected = place.collect().await;
    assert_eq!((collected.objects, collected.holds), (0, 1));
    assert!(place.has(digest).await && !place.holds(digest).await);
}

#[tokio::test]
async fn more_than_memory_may_hold_is_collected_in_shares() {
    let place = Place::new().await;
    let (mut artifacts, mut dead) = (Vec::new(), Vec::new());
    for number in 0..60 {
        let bytes = format!("kept {number}");
        place.put_old(&bytes).await;
        artifacts.push(artifact(&format!("role-{number}"), bytes.as_bytes()));
        dead.push(place.put_old(&format!("dead {number}")).await);
    }
    let kept: Vec<Digest> = artifacts.iter().map(|artifact| artifact.digest).collect();
    place.commit(named(artifacts)(RunId::generate())).await;
    let mut collector = place.collector().with_named_max(20);
    let collected = collector.collect().await.unwrap().unwrap();
    assert_eq!((collected.objects, collected.named), (60, 60));
    assert!(place.store.missing(&kept).await.unwrap().is_empty());
    assert_eq!(place.store.missing(&dead).await.unwrap(), dead);
}

#[tokio::test]
async fn one_collector_of_a_cluster_collects_until_it_ends() {
    let place = Place::new().await;
    let (mut first, mut second) = (place.collector(), place.collector());
    assert!(first.collect().await.unwrap().is_some());
    let dead = place.put_old("dead").await;
    assert!(second.collect().await.unwrap().is_none());
    assert!(place.has(dead).await);
    assert_eq!(first.collect().await.unwrap().unwrap().objects, 1);
    drop(first);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while second.collect().await.unwrap().is_none() {
        assert!(tokio::time::Instant::now() < deadline, "the lock outlives its owner");
    }
}

#[tokio::test]
async fn nothing_is_deleted_where_storage_fails_while_names_are_gathered() {
    let place = Place::new().await;
    let tree = place.put_old_tree(&[]).await;
    let dead = place.put_old("dead").await;
    place.hold(dead, 2 * KEPT).await;
    // Neither missing nor readable: a file in the place of the object's folder.
    let folder = place.directory.path().join("sha256").join(&tree.digest.to_hex()[..2]);
    assert_ne!(tree.digest.to_hex()[..2], dead.to_hex()[..2]);
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "x").unwrap();
    place.commit(named(vec![tree])(RunId::generate())).await;
    let failed = place.collector().collect().await;
    assert!(matches!(failed, Err(Error::Named(_))), "{failed:?}");
    assert!(place.has(dead).await && place.holds(dead).await);
}

#[tokio::test]
async fn to_be_told_that_an_object_is_there_keeps_it() {
    let stack = Stack::without_coordinator().await;
    let digest = Digest::of(b"hello");
    let object = format!("/v1/projects/demo/objects/{digest}");
    let put = stack.request(Method::PUT, &object).body("hello").send().await.unwrap();
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    let mut conn = stack.database.conn().await;
    set_back(&mut conn, digest, 2 * KEPT).await;
    let ask = json!({ "digests": [digest] });
    let path = "/v1/projects/demo/objects/missing";
    let answer: Value = read(stack.post(path, &ask).await, StatusCode::OK).await;
    assert_eq!(answer["missing"], json!([]));
    let before = project_object::moment(&mut conn, KEPT / 2).await.unwrap();
    let forgotten = project_object::forget(&mut conn, &[digest], before).await.unwrap();
    assert_eq!(forgotten, 0, "the row is young again");
}

/// Waits until somebody waits for a lock on the table of holds.
async fn until_somebody_waits(database: &Database) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut conn = database.conn().await;
    loop {
        let waits: bool = sqlx::query_scalar(
            "select exists (select from pg_locks
              where not granted and relation = 'project_object'::regclass)",
        )
        .fetch_one(&mut conn)
        .await
        .unwrap();
        if waits {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "nobody waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_upload_that_meets_its_own_deletion_is_to_be_sent_again() {
    let stack = Stack::without_coordinator().await;
    let digest = Digest::of(b"hello");
    let object = format!("/v1/projects/demo/objects/{digest}");
    let mut conn = stack.database.conn().await;
    let mut page = conn.begin().await.unwrap();
    project_object::shut_out(&mut page).await.unwrap();
    assert!(project_object::held_by_any(&mut page, &[digest]).await.unwrap().is_empty());
    let put = tokio::spawn(stack.request(Method::PUT, &object).body("hello").send());
    until_somebody_waits(&stack.database).await;
    stack.objects.delete(digest).await.unwrap();
    page.commit().await.unwrap();
    let answer = put.await.unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let again = stack.request(Method::PUT, &object).body("hello").send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_upload_that_is_held_before_its_page_is_looked_at_stays() {
    let place = Place::new().await;
    let digest = place.put_old("again").await;
    place.hold(digest, 2 * KEPT).await;
    let mut conn = place.database.conn().await;
    // Gathering began, and then somebody comes with the bytes.
    let before = project_object::moment(&mut conn, KEPT).await.unwrap();
    place.hold(digest, Duration::ZERO).await;
    let mut page = conn.begin().await.unwrap();
    project_object::shut_out(&mut page).await.unwrap();
    assert_eq!(project_object::forget(&mut page, &[digest], before).await.unwrap(), 0);
    assert!(project_object::held_by_any(&mut page, &[digest]).await.unwrap().contains(&digest));
}

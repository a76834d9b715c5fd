//! What is collected while runs stand, and what is left of them.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use maestro_evidence::store::KEPT;
use maestro_evidence::tree;
use maestro_schemas::artifact::{Artifact, LOG_ROLE, Tree, TreeEntry, TreeEntryKind};
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{OutputArtifact, Plan, Workspace};
use maestro_server::background::collector::Collector;
use maestro_server::store::{attempt, connect, project_object};
use maestro_tests::harness::{Cluster, plan_of};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Makes every file below a folder older than anything is kept.
fn make_all_old(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            make_all_old(&path);
        } else {
            let file = File::options().write(true).open(&path).expect("a file");
            let at = SystemTime::now() - KEPT - Duration::from_secs(60);
            file.set_modified(at).expect("an older file");
        }
    }
}

/// A step that copies what its workspace has, and says so.
fn copying(workspace: Digest) -> Plan {
    let mut plan = plan_of(&[("copy", "build", "shell", &[])]);
    let node = &mut plan.nodes[0];
    node.with = json!({ "script": "echo said; mkdir out; cat given > out/copy" });
    node.workspace = Workspace::Tree { digest: workspace };
    node.outputs = vec![OutputArtifact { role: "out".into(), path: "out".into(), optional: false }];
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_whole_after_a_collection_and_what_nobody_used_is_gone() {
    let cluster = Cluster::start(&["build"]).await;
    let coordinator = cluster.coordinator("one");
    let worker = cluster.build_worker("w", 1).await;
    let given = cluster.store.put("given\n").await.expect("stored");
    let kind = TreeEntryKind::File { digest: given.digest, size: given.size, executable: false };
    let workspace = Tree { entries: vec![TreeEntry { path: "given".into(), kind }] };
    let workspace = tree::put(&cluster.store, &workspace).await.expect("stored").digest;
    let run = cluster.submit(copying(workspace), 1).await;
    let rows = cluster.rows().await;
    assert_eq!(cluster.ended(&rows, run).await, "succeeded");

    let unused = cluster.store.put("uploaded, never used").await.expect("stored");
    let orphan = cluster.store.put("made, never reported").await.expect("stored");
    let project = "default".parse().expect("a name");
    let uploads = [unused, given].map(|object| (object.digest, object.size));
    project_object::hold(&rows, &project, &uploads).await.expect("held");
    sqlx::query("update project_object set held_at = held_at - interval '4 days'")
        .execute(&rows)
        .await
        .expect("older rows");
    make_all_old(&cluster.dir().join("objects"));
    let options = connect::options(&cluster.postgres.url()).expect("an address");
    let mut collector = Collector::new(options, cluster.store.clone(), CancellationToken::new());
    let collected = collector.collect().await.expect("a collection").expect("its turn");

    assert_eq!((collected.objects, collected.holds), (2, 1));
    let gone = cluster.store.missing(&[unused.digest, orphan.digest]).await.expect("asked");
    assert_eq!(gone, [unused.digest, orphan.digest]);
    let held = project_object::held(&rows, &project, &uploads.map(|(digest, _)| digest)).await;
    assert_eq!(held.expect("asked"), [given.digest]);
    let made = attempt::artifacts(&rows, run).await.expect("artifacts");
    let made: Vec<Artifact> = made.into_iter().flat_map(|(_, artifacts)| artifacts).collect();
    let of_role = |role: &str| made.iter().find(|one| one.role == role).expect(role).digest;
    let log = cluster.store.get(of_role(LOG_ROLE), 1 << 20).await.expect("its log");
    assert!(String::from_utf8_lossy(&log).contains("said"), "{log:?}");
    let (into, limits) = (cluster.dir().join("back"), tree::Limits::default());
    let out = tree::get(&cluster.store, of_role("out"), limits).await.expect("a directory");
    std::fs::create_dir(&into).expect("a folder");
    tree::materialise(&cluster.store, out, &into, limits).await.expect("its files");
    assert_eq!(std::fs::read_to_string(into.join("copy")).expect("a file"), "given\n");
    let again = cluster.submit(copying(workspace), 2).await;
    assert_eq!(cluster.ended(&rows, again).await, "succeeded");
    worker.drain();
    coordinator.stop().await;
}
